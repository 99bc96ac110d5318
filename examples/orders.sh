#!/bin/bash
# Kills both sides of the order entry again and again, and then looks into the book: each order once, in order.
#
#   examples/orders.sh FOLDER [KILLS] [SCHEME]      FOLDER has example_order_client and example_order_server;
#                                                   SCHEME is shm (the default) or ipc
set -eu
folder=$1 kills=${2:-100} scheme=${3:-shm}

work=$(mktemp -d)
server= client=
cleanup() {
  local status=$?
  trap - EXIT
  ((status == 0 || status == 130)) || tail -n 5 "$work/said" >&2
  kill -9 $server $client 2>/dev/null || true
  wait 2>/dev/null || true
  rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT TERM
mkdir "$work/exchange" "$work/alice" "$work/books"
: >"$work/said"  # who is killed all the time complains of the other one

address=shm://orders; more="&runtime_dir=$work"
if [ "$scheme" = ipc ]; then address=ipc://$work/orders.sock; more=; fi
session="session=persistent$more"

start_server() {
  "$folder/example_order_server" "$address?$session&as=exchange&dir=$work/exchange" "$work/books" >/dev/null 2>>"$work/said" &
  server=$!
}
start_client() {
  "$folder/example_order_client" \
    "$address?$session&as=alice&dir=$work/alice&reconnect=on&reconnect_base=5ms&reconnect_max=20ms" "$orders" \
    >/dev/null 2>>"$work/said" &
  client=$!
}
murder() {
  kill -9 "$1" 2>/dev/null || true
  wait "$1" 2>/dev/null || true
}

orders=5000
start_server
start_client
for ((killed = 0; killed < kills; killed++)); do
  sleep 0.0$((RANDOM % 5))$((RANDOM % 10))
  if ! kill -0 $client 2>/dev/null; then
    wait $client  # a client that failed ends the script here
    orders=$((orders + 5000))
    start_client
  fi
  if ((RANDOM % 2)); then murder $server; start_server; else murder $client; start_client; fi
done
wait $client

awk -v orders=$orders '
  $0 != NR " buy 100 ACME" { print "line " NR " of the book: " $0; wrong = 1; exit }
  END { if (!wrong && NR != orders) { print NR " lines for " orders " orders"; wrong = 1 } exit wrong }' \
  "$work/books/alice.book"
echo "$kills kills, $orders orders: each is in the book once, in order"
