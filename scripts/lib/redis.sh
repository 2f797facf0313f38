# shellcheck shell=bash
# The Redis of this checkout. Sourced by services.sh.

REDIS=${STATE_DIRECTORY:?}/redis

redis_home() { printf '%s\n' "$REDIS"; }
redis_log() { printf '%s\n' "$REDIS/redis.log"; }
redis_pid() { cat "$REDIS/redis.pid" 2>/dev/null || true; }
redis_user() { unprivileged_user redis postgres; }

redis_url() {
  local port
  port=$(port_of redis)
  [ -n "$port" ] && printf 'redis://127.0.0.1:%s/\n' "$port"
}

redis_up() {
  if is_running redis; then
    return
  fi
  mkdir -p "$REDIS"
  chmod 700 "$REDIS"
  chown "$(redis_user)" "$REDIS"
  start_on_free_port redis 6379
  log "redis: running on 127.0.0.1:$(port_of redis)"
}

redis_start() {
  configure_redis "$1"
  run_as "$(redis_user)" redis-server "$REDIS/redis.conf" >/dev/null 2>&1 9>&-
  wait_until 5 redis_listens "$1"
}

redis_listens() {
  is_running redis && is_port_in_use "$1"
}

redis_stop() {
  local pid
  pid=$(redis_pid)
  kill "$pid"
  wait_for_exit "$pid" 10 || fail "redis (pid $pid) did not stop within 10 s; see $(redis_log)"
}

# Usage: configure_redis <port>. Persistence is off, because Redis contains only caches and notifications.
configure_redis() {
  {
    cat <<CONF
bind 127.0.0.1
port $1
daemonize yes
pidfile $REDIS/redis.pid
logfile $REDIS/redis.log
dir $REDIS
save ""
appendonly no
maxmemory 256mb
maxmemory-policy volatile-lru
CONF
    if redis-server --version | grep -q ' v=[1-6][.]'; then
      # Before version 7, these commands let any local user write files with the permissions of this user.
      printf 'rename-command %s ""\n' CONFIG DEBUG MODULE SLAVEOF REPLICAOF
    fi
  } | write_as "$(redis_user)" "$REDIS/redis.conf"
}
