# shellcheck shell=bash
# The load balancer in front of two versions of the service, and its runtime API. Sourced after processes.sh.

# Usage: haproxy_command <command>… Sends commands of the runtime API, separated by semicolons, and prints the response.
# PLANT_LB_SOCKET is unix@PATH or ipv4@ADDRESS:PORT.
haproxy_command() {
  perl -MIO::Socket::INET -MIO::Socket::UNIX -e '
    my ($address, $command) = @ARGV;
    my $socket = $address =~ m{:\d+$}
      ? IO::Socket::INET->new(PeerAddr => $address, Timeout => 5)
      : IO::Socket::UNIX->new(Peer => $address);
    $socket or die "cannot connect to the load balancer at $address: $!\n";
    alarm 10;
    print $socket "$command\n";
    shutdown $socket, 1;
    print while <$socket>;' "${PLANT_LB_SOCKET#*@}" "$*"
}

# Usage: weight_of <server>. Prints its weight, 0 to 100.
weight_of() {
  haproxy_command "get weight plant/$1" | awk 'NF { print $1; exit }'
}

# Usage: set_weights <server> <weight> <other server> <weight>. The first one has to be the one whose weight rises, so that
# there is always one with a weight.
set_weights() {
  local response
  response=$(haproxy_command "set server plant/$1 weight $2; set server plant/$3 weight $4") || return
  # Successful commands print nothing.
  [ -z "${response//[[:space:]]/}" ] || fail "the load balancer did not change the weights: $response"
  save_weights
}

# Saves the weights for the next start of the load balancer.
save_weights() {
  [ -n "${PLANT_LB_STATE:-}" ] || return 0
  haproxy_command "show servers state" >"$PLANT_LB_STATE.new"
  mv "$PLANT_LB_STATE.new" "$PLANT_LB_STATE"
}

# Usage: server_statistics <server>. Prints its state (UP, DOWN, …), requests in progress, responses, and failures: responses
# 5xx, failed connections and incomplete responses.
server_statistics() {
  haproxy_command "show stat" | awk -F , -v server="$1" '
    /^# / { sub(/^# /, ""); for (i = 1; i <= NF; i++) column[$i] = i; next }
    $1 == "plant" && $2 == server {
      responses = $column["hrsp_1xx"] + $column["hrsp_2xx"] + $column["hrsp_3xx"] + $column["hrsp_4xx"] + $column["hrsp_5xx"]
      failed = $column["hrsp_5xx"] + $column["econ"] + $column["eresp"]
      split($column["status"], state, " ")
      print state[1], $column["scur"] + 0, responses + 0, failed + 0
    }'
}

# Usage: is_up <server>. Whether its health checks succeed.
is_up() {
  [ "$(server_statistics "$1" | cut -d ' ' -f 1)" = UP ]
}

# Usage: is_idle <server>. Whether the load balancer has no request in progress there.
is_idle() {
  [ "$(server_statistics "$1" | cut -d ' ' -f 2)" = 0 ]
}
