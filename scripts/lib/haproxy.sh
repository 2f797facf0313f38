# shellcheck shell=bash
# The load balancer in front of two replicas of the service, and its runtime API. Sourced after processes.sh.

# Usage: start_load_balancer <folder> <address> <address>. Starts a load balancer in front of two replicas, which may start later.
# Sets BALANCED, where both have the same share, and BLUE_FIRST and GREEN_FIRST, where one has all requests unless it is down.
start_load_balancer() {
  local statistics
  command_exists haproxy || install_packages haproxy
  mkdir -p "$1"
  BALANCED=127.0.0.1:$(free_port 18900)
  BLUE_FIRST=127.0.0.1:$(free_port $((${BALANCED##*:} + 1)))
  GREEN_FIRST=127.0.0.1:$(free_port $((${BLUE_FIRST##*:} + 1)))
  statistics=127.0.0.1:$(free_port $((${GREEN_FIRST##*:} + 1)))
  PLANT_LB_SOCKET=unix@$1/haproxy.sock # relative, because the path of a Unix socket is limited to 107 bytes
  start env PLANT_LB_LISTEN="$BALANCED" PLANT_LB_BLUE_LISTEN="$BLUE_FIRST" PLANT_LB_GREEN_LISTEN="$GREEN_FIRST" \
    PLANT_LB_STATS="$statistics" PLANT_LB_SOCKET="$PLANT_LB_SOCKET" PLANT_LB_STATE="$1/haproxy.state" \
    PLANT_LB_BLUE="$2" PLANT_LB_GREEN="$3" PLANT_LB_GREEN_WEIGHT=100 \
    haproxy -db -f "$ROOT/deploy/haproxy/haproxy.cfg" -f "$ROOT/scripts/lib/replicas.cfg" >"$1/haproxy.log" 2>&1
  LOAD_BALANCER=$!
  wait_until 5 load_balancer_responds || fail "the load balancer did not start; see $1/haproxy.log"
}

load_balancer_responds() {
  haproxy_command "show info" >/dev/null 2>&1
}

# Stops it, and prints the number of responses of both replicas. Fails if one of them had none.
stop_load_balancer() {
  local statistics
  statistics=$(haproxy_command "show stat")
  kill "$LOAD_BALANCER"
  printf '%s\n' "$statistics" | awk -F , '
    /^# / { sub(/^# /, ""); for (i = 1; i <= NF; i++) column[$i] = i; next }
    $2 == "blue" || $2 == "green" { responses[$2] += $column["hrsp_2xx"] + $column["hrsp_4xx"] + $column["hrsp_5xx"] }
    END {
      printf "responses of the replicas: %d and %d\n", responses["blue"], responses["green"]
      exit !(responses["blue"] && responses["green"])
    }'
}

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

# Usage: is_up <server>… Whether their health checks succeed.
is_up() {
  local server
  for server in "$@"; do
    [ "$(server_statistics "$server" | cut -d ' ' -f 1)" = UP ] || return
  done
}

# Usage: is_idle <server>. Whether the load balancer has no request in progress there.
is_idle() {
  [ "$(server_statistics "$1" | cut -d ' ' -f 2)" = 0 ]
}
