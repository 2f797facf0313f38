#!/usr/bin/env bash
# Runs a load test with the generators of deploy/k8s/load, merges their outcomes and judges them. The exit code is the verdict, as
# that of `plant-loadtest run`.
#
#   deploy/k8s/load.sh PROFILE [HOST]     [default HOST: http://plant:8001]
#
#   PLANT_IMAGE    image of the generators [default: plant:local]
#   START_IN       seconds until the load starts, in which all Pods must be running [default: 120]
#
# Uses the current context and namespace of kubectl. The outcomes remain on the volume, in a folder named by the start, the reports
# beside it.
set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
START_IN=${START_IN:-120}

main() {
  local profile=${1:?usage: deploy/k8s/load.sh PROFILE [HOST]} host=${2:-http://plant:8001} start count
  kubectl delete job plant-load plant-merge --ignore-not-found
  start=$(perl -MPOSIX -e 'print strftime("%Y-%m-%dT%H:%M:%SZ", gmtime(time + $ARGV[0]))' "$START_IN")
  kubectl create configmap plant-load --dry-run=client -o yaml --from-literal=HOST="$host" --from-literal=PROFILE="$profile" \
    --from-literal=START_AT="$start" --from-literal=FOLDER="$start" | kubectl apply -f -
  apply load
  count=$(kubectl get job plant-load -o 'jsonpath={.spec.completions}')
  echo "$count load generators start at $start"
  wait_until "$START_IN" are_running "$count" || {
    kubectl delete job plant-load
    fail "not all $count Pods were running after $START_IN s; are there nodes for them? See 'kubectl describe pod'"
  }
  wait_until 86400 has_ended plant-load
  apply merge
  wait_until 600 has_ended plant-merge || fail "the outcomes were not merged within ten minutes"
  kubectl logs job/plant-merge
  return "$(kubectl get pod -l batch.kubernetes.io/job-name=plant-merge \
    -o 'jsonpath={.items[0].status.containerStatuses[0].state.terminated.exitCode}')"
}

apply() {
  kubectl kustomize "$HERE/$1" | sed "s#image: plant:local#image: ${PLANT_IMAGE:-plant:local}#" | kubectl apply -f -
}

# A Job may also have failed by then.
are_running() {
  [ "$(kubectl get job plant-load -o 'jsonpath={.status.ready}')" = "$1" ] || has_ended plant-load
}

# Usage: has_ended <job>. Complete or Failed; FailureTarget and the like come before.
has_ended() {
  kubectl get job "$1" -o 'jsonpath={.status.conditions[*].type}' | grep -qwE 'Complete|Failed'
}

# Usage: wait_until <seconds> <command>…
wait_until() {
  local end=$((SECONDS + $1))
  shift
  until "$@"; do
    [ "$SECONDS" -lt "$end" ] || return 1
    sleep 2
  done
}

fail() {
  echo "load.sh: $*" >&2
  exit 3
}

main "$@"
