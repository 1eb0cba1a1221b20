#!/bin/sh
# The life of a manager: start, listeners, signals, certificates, and the ways to stop.

. "$(dirname "$0")/tap.sh"

if ! command -v curl >/dev/null; then
	echo "1..0 # SKIP curl is missing"
	exit 0
fi

get() {
	curl -sS -m 20 "$@" 2>&1
}

# The port that a started manager has got for its first tcp listener.
port_of() {
	sed -n 's/.*listening address=tcp:\/\/[^ ]*:\([0-9]*\) .*/\1/p' "$tap_dir/$1.log" | head -n 1
}

# start_manager NAME ARGUMENT...: leaves $pid and $port.
start_manager() {
	name=$1
	start "$@"
	manager=$pid
	wait_for 20 logged "$name" "listening address=tcp"
	ok $? "$name listens"
	port=$(port_of "$name")
}

# healthy NAME PID COUNT: the manager counts so many healthy nodes. Asks by SIGUSR1.
healthy() {
	kill -USR1 "$2"
	sleep 0.1
	grep -F 'state of cluster' "$tap_dir/$1.log" | tail -n 1 | grep -qF " healthy=$3 "
}

lines_are() {
	[ "$(wc -l <"$1")" -eq "$2" ]
}

# ---- Engines ----

start engines simulate --nodes 2 --listen 127.0.0.1:0
wait_for 20 lines_are "$tap_dir/engines.out" 2
ok $? "simulate prints an address for each engine"
engines=$(paste -s -d , "$tap_dir/engines.out")

# ---- Plain, on this machine ----

start_manager plain manage -H tcp://127.0.0.1:0 -H "unix://$tap_dir/plain.sock" "$engines"
is OK "$(get "http://127.0.0.1:$port/_ping")" "tcp answers"
is OK "$(get --unix-socket "$tap_dir/plain.sock" http://swarm/_ping)" "the unix socket answers"
wait_for 20 healthy plain $manager 2
ok $? "SIGUSR1 writes the state to the log: both nodes are healthy"
addr1=$(head -n 1 "$tap_dir/engines.out")
logged plain "address=${addr1#tcp://} state=Healthy"
ok $? "and each node"
! logged plain "root on every node"
ok $? "a local address gives no warning"
is "$(awk '/Max open files/ {print $5}' /proc/$manager/limits)" \
	"$(awk '/Max open files/ {print $4}' /proc/$manager/limits)" \
	"the limit of open files is the hard limit"

fails 1 "" manage -H "tcp://127.0.0.1:$port" "$engines"
has "$err" "127.0.0.1:$port" "an address in use is named"
fails 1 "" manage -H "unix://$tap_dir/plain.sock" "$engines"
has "$err" "$tap_dir/plain.sock" "and so is a socket in use"
is OK "$(get --unix-socket "$tap_dir/plain.sock" http://swarm/_ping)" "which was left alone"

kill -HUP $manager
wait_for 20 logged plain "nothing to read again"
ok $? "SIGHUP without TLS does no harm"
kill -TERM $manager
ended $manager
is 0 $status "SIGTERM ends it with status 0"
[ ! -e "$tap_dir/plain.sock" ]
ok $? "the unix socket is gone"

# A socket that a dead process left behind.
start_manager killed manage -H tcp://127.0.0.1:0 -H "unix://$tap_dir/killed.sock" "$engines"
kill -KILL $manager
ended $manager
[ -S "$tap_dir/killed.sock" ]
ok $? "a manager that was killed leaves its socket behind"
start_manager again manage -H "unix://$tap_dir/killed.sock" -H tcp://127.0.0.1:0 "$engines"
is OK "$(get --unix-socket "$tap_dir/killed.sock" http://swarm/_ping)" "the next one replaces it"

# ---- Stopping while a request is in flight ----

curl -sN "http://127.0.0.1:$port/events" >"$tap_dir/events" 2>/dev/null &
stream=$!
tap_pids="$tap_pids $stream"
in_flight() {
	kill -USR1 "$2"
	sleep 0.1
	grep -F 'state of manager' "$tap_dir/$1.log" | tail -n 1 | grep -qF " in_flight=$3 "
}
wait_for 20 in_flight again $manager 1
ok $? "an event stream is in flight"
kill -TERM $manager
wait_for 20 logged again "stopping signal=15 in_flight=1"
ok $? "SIGTERM waits for it"
refused() {
	! curl -s -m 5 "http://127.0.0.1:$port/_ping"
}
wait_for 5 refused
ok $? "nothing listens any more"
kill -0 $manager && kill -0 $stream
ok $? "the stream goes on"
kill -INT $manager
ended $manager
is 0 $status "a second signal ends it at once, with status 0"
logged again "second signal"
ok $? "and the log says so"
ended $stream

start slow_engine simulate --nodes 1 --listen 127.0.0.1:0 --latency 1s
wait_for 20 lines_are "$tap_dir/slow_engine.out" 1
start_manager slow manage -H tcp://127.0.0.1:0 "$(cat "$tap_dir/slow_engine.out")"
wait_for 30 healthy slow $manager 1
ok $? "a slow engine becomes healthy"
get -o "$tap_dir/created" -w '%{http_code}' -H 'Content-Type: application/json' \
	-d '{"Image":"busybox:latest"}' "http://127.0.0.1:$port/containers/create?name=late" \
	>"$tap_dir/created.status" &
create=$!
wait_for 20 in_flight slow $manager 1
kill -TERM $manager
ended $manager
is 0 $status "SIGTERM during a create: status 0"
wait $create
is 201 "$(cat "$tap_dir/created.status")" "and the create is answered"
! logged slow "cutting off"
ok $? "nothing was cut off"

# ---- Discovery that is down, and warnings ----

start_manager lonely manage -H tcp://0.0.0.0:0 --heartbeat 1s consul://127.0.0.1:1/x
is OK "$(get "http://127.0.0.1:$port/_ping")" "a store that is down does not keep it from starting"
wait_for 20 logged lonely "discovery fails"
ok $? "the log says that discovery fails"
logged lonely "listening without TLS: anyone who can reach this address is root on every node"
ok $? "listening on all addresses without TLS gives a warning"
sleep 2.5
is 1 "$(log_count lonely 'discovery fails')" "a failure that stays is logged once"
kill -TERM $manager
ended $manager
is 0 $status "and it stops"

# ---- TLS ----

make_ca ca && make_cert ca server && make_cert ca client && make_cert ca engine &&
	make_ca evil && make_cert evil stranger
ok $? "certificates are made"
tls() {
	get --cacert "$tap_dir/ca.pem" "$@"
}
start tls_engine simulate --nodes 1 --listen 127.0.0.1:0 --tlsverify \
	--tlscacert="$tap_dir/ca.pem" --tlscert="$tap_dir/engine.pem" --tlskey="$tap_dir/engine.key"
wait_for 20 lines_are "$tap_dir/tls_engine.out" 1
start_manager tls manage -H tcp://127.0.0.1:0 --tlsverify --tlscacert="$tap_dir/ca.pem" \
	--tlscert="$tap_dir/server.pem" --tlskey="$tap_dir/server.key" \
	"$(cat "$tap_dir/tls_engine.out")"
url=https://127.0.0.1:$port
client="--cert $tap_dir/client.pem --key $tap_dir/client.key"
is OK "$(tls $client "$url/_ping")" "a client with a certificate is let in"
! tls "$url/_ping" >/dev/null
ok $? "one without is not"
! tls --cert "$tap_dir/stranger.pem" --key "$tap_dir/stranger.key" "$url/_ping" >/dev/null
ok $? "nor one of another authority"
! get "http://127.0.0.1:$port/_ping" | grep -qx OK
ok $? "nor one without TLS"
wait_for 20 healthy tls $manager 1
ok $? "the engine is reached over TLS"

serial() {
	openssl s_client -connect "127.0.0.1:$port" -CAfile "$tap_dir/ca.pem" </dev/null 2>/dev/null |
		openssl x509 -noout -serial 2>/dev/null
}
before=$(serial)
has "$before" serial= "the certificate can be seen"
curl -sN --cacert "$tap_dir/ca.pem" $client "$url/events" >"$tap_dir/tls_events" 2>/dev/null &
stream=$!
tap_pids="$tap_pids $stream"
wait_for 20 in_flight tls $manager 1
make_cert ca server
kill -HUP $manager
wait_for 20 logged tls "certificates read again"
ok $? "SIGHUP reads the certificates again"
after=$(serial)
has "$after" serial= "a new certificate can be seen"
[ "$before" != "$after" ]
ok $? "and it is another one"
kill -0 $stream && in_flight tls $manager 1
ok $? "a connection that was open stays"
echo garbage >"$tap_dir/server.pem"
kill -HUP $manager
wait_for 20 logged tls "the old ones stay in use"
ok $? "a bad file is told in the log"
is "$after" "$(serial)" "and the certificate in use stays"
is OK "$(tls $client "$url/_ping")" "and serves"
kill -KILL $stream
ended $stream
kill -TERM $manager
ended $manager
is 0 $status "and it stops"
! logged tls "root on every node"
ok $? "verified TLS gives no warning"

make_cert ca server
start_manager unverified manage -H tcp://127.0.0.1:0 --tls --tlscert="$tap_dir/server.pem" \
	--tlskey="$tap_dir/server.key" "$(cat "$tap_dir/tls_engine.out")"
is OK "$(tls "https://127.0.0.1:$port/_ping")" "--tls alone verifies no client"
logged unverified "--tls without --tlsverify"
ok $? "and gives a warning"
kill -INT $manager
ended $manager
is 0 $status "SIGINT ends it with status 0"
finish
