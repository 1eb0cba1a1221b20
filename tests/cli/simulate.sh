#!/bin/sh
# Simulated engines: wrong options, and engines that answer.

. "$(dirname "$0")/tap.sh"

make_ca ca && make_cert ca server && make_cert ca client
ok $? "certificates are made"
key=$tap_dir/server.key

for bad in 0 -1 65537; do
	fails 2 "--nodes should be from 1 to 65536, not $bad" simulate --nodes=$bad
done
fails 2 "invalid --nodes: " simulate -n many
for bad in 2 -0.1 x nan ''; do
	[ -n "$bad" ] || continue
	fails 2 "--failure-rate should be a number from 0 to 1, not $bad" \
		simulate --failure-rate=$bad
done
for bad in 0 x 1x -1 99999999999g k; do
	fails 2 "invalid --memory: " simulate --memory=$bad
done
fails 2 "--latency should be from 0 to an hour" simulate --latency=-1s
fails 2 "--seed should be from 1 to" simulate --seed 0
fails 2 "invalid --listen http://a:1: " simulate --listen http://a:1
fails 2 "unexpected argument: x. See 'swarm simulate --help'." simulate x
fails 1 "" simulate --tls --tlscert="$tap_dir/nosuch.pem" --tlskey="$key"
has "$err" "$tap_dir/nosuch.pem" "and the message names the file"

if ! command -v curl >/dev/null; then
	skip "engines that answer" "curl is missing"
	finish
fi

lines_are() {
	[ "$(wc -l <"$1")" -eq "$2" ]
}
get() {
	curl -sS -m 20 "$@" 2>&1
}

start three simulate -n 3 --listen tcp://127.0.0.1:0 --name 'host-{i}' --label 'rack=r{i%2}' \
	--memory 4g --cpus 8
three=$pid
wait_for 20 lines_are "$tap_dir/three.out" 3
ok $? "three engines, three addresses"
i=0
for address in $(cat "$tap_dir/three.out"); do
	info=$(get "http://$address/info")
	has "$info" "\"Name\":\"host-$i\"" "engine $i has its name"
	has "$info" "\"rack=r$((i % 2))\"" "and its label"
	has "$info" '"MemTotal":4294967296' "and its memory"
	has "$info" '"NCPU":8' "and its CPUs"
	i=$((i + 1))
done
fails 1 "" simulate --listen "tcp://$(head -n 1 "$tap_dir/three.out")"
has "$err" "$(head -n 1 "$tap_dir/three.out")" "an address in use is named"
kill -TERM $three
ended $three
is 0 $status "SIGTERM ends it with status 0"

start secret simulate --listen tcp://127.0.0.1:0 --tlsverify --tlscacert="$tap_dir/ca.pem" \
	--tlscert="$tap_dir/server.pem" --tlskey="$key"
wait_for 20 lines_are "$tap_dir/secret.out" 1
url=https://$(cat "$tap_dir/secret.out")
is OK "$(get --cacert "$tap_dir/ca.pem" --cert "$tap_dir/client.pem" \
	--key "$tap_dir/client.key" "$url/_ping")" "an engine with verified TLS"
! get --cacert "$tap_dir/ca.pem" "$url/_ping" >/dev/null
ok $? "lets in no client without a certificate"

start socket simulate --nodes 2 --listen "unix://$tap_dir/engine-{i}.sock"
wait_for 20 lines_are "$tap_dir/socket.out" 2
is OK "$(get --unix-socket "$tap_dir/engine-1.sock" http://engine/_ping)" "engines at unix sockets"
finish
