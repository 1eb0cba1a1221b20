#!/bin/sh
# Token server, create, join and list together.

. "$(dirname "$0")/tap.sh"

port_of() {
	sed -n 's/.*listening address=tcp:\/\/[^ ]*:\([0-9]*\).*/\1/p' "$tap_dir/$1.log" | head -n 1
}

# lists WANT: `swarm list` prints these addresses.
lists() {
	run list --discovery-opt token.scheme=http "$url"
	[ "$status $(echo $out)" = "0 $1" ]
}

fails 2 "missing mandatory --data-dir flag" token-server
fails 2 "missing mandatory --data-dir flag" token-server --data-dir=
fails 2 "missing mandatory --advertise flag" join --advertise= nodes://a:1
fails 2 "missing mandatory --advertise flag" join --advertise "" nodes://a:1
fails 2 "missing mandatory --advertise flag" join --addr= nodes://a:1
fails 2 "invalid --host tcp://127.0.0.1: " token-server --data-dir "$tap_dir/x" -H tcp://127.0.0.1
fails 2 "invalid --host http://a:1: " token-server --data-dir "$tap_dir/x" -H http://a:1
fails 1 "" token-server -H tcp://127.0.0.1:0 --data-dir "$tap_dir/nosuch/x"
has "$err" "$tap_dir/nosuch/x" "a folder that cannot be made is named"
fails 2 "--tlscert and --tlskey must be provided when using --tls" \
	token-server --tls --data-dir "$tap_dir/x"

start tokens token-server -H tcp://127.0.0.1:0 --data-dir "$tap_dir/data"
tokens=$pid
wait_for 20 logged tokens "listening address=tcp"
ok $? "the token server listens"
server=127.0.0.1:$(port_of tokens)
fails 1 "" token-server -H tcp://127.0.0.1:0 --data-dir "$tap_dir/data"
has "$err" "$tap_dir/data" "a second server on the same data is refused"

run create "http://$server"
is 0 $status "create ends well"
is 1 "$(wc -l <"$tap_dir/out")" "and prints one line"
token=$out
url=token://$server/$token
lists ""
ok $? "nothing is listed under a new token"

start one join --addr 10.0.0.1:2375 --heartbeat 1s --ttl 3s \
	--discovery-opt token.scheme=http "$url"
one=$pid
start two join -advertise=10.0.0.2:2375 --discovery "$url" --discovery-opt token.scheme=http
two=$pid
wait_for 20 lists "10.0.0.1:2375 10.0.0.2:2375"
ok $? "two agents are listed"
wait_for 20 logged one "registered addr=10.0.0.1:2375"
ok $? "and say so in the log"
kill -TERM $two
ended $two
is 0 $status "an agent that is told to go ends with status 0"
wait_for 5 lists "10.0.0.1:2375"
ok $? "and is listed no longer"
logged two "registration taken back"
ok $? "and says so"

SWARM_ADVERTISE=10.0.0.3:2375
SWARM_DISCOVERY=$url
export SWARM_ADVERTISE SWARM_DISCOVERY
start env join --discovery-opt token.scheme=http
unset SWARM_ADVERTISE SWARM_DISCOVERY
env=$pid
wait_for 20 lists "10.0.0.1:2375 10.0.0.3:2375"
ok $? "an agent that is told all by its environment is listed"
kill -KILL $env
ended $env

# The server goes away and comes back on the same port with the same data.
kill -TERM $tokens
ended $tokens
is 0 $status "SIGTERM ends the token server with status 0"
wait_for 20 logged one "registration lost"
ok $? "the loss is logged"
run list --timeout 1s --discovery-opt token.scheme=http "$url"
is 1 $status "list gives up after its timeout"
start late join --addr 10.0.0.4:2375 --heartbeat 1s --ttl 3s \
	--discovery-opt token.scheme=http "$url"
late=$pid
wait_for 20 logged late "cannot register yet"
ok $? "an agent that comes meanwhile keeps trying"
start tokens2 token-server -H "tcp://$server" --data-dir "$tap_dir/data"
tokens=$pid
wait_for 20 logged one "registration regained"
ok $? "the registration comes back"
wait_for 20 logged late "registered addr=10.0.0.4:2375"
ok $? "and the late one's too"
is 1 "$(log_count one 'registration lost')" "one line in the log for the loss"

# A server that hangs does not keep an agent from leaving.
kill -STOP $tokens
kill -TERM $one
began=$(date +%s)
ended $one
is 0 $status "an agent whose store hangs ends with status 0"
[ $(($(date +%s) - began)) -le 9 ]
ok $? "after a bounded time"
kill -TERM $late
kill -INT $late
began=$(date +%s)
ended $late
[ $(($(date +%s) - began)) -le 3 ]
ok $? "and at once at a second signal"
kill -CONT $tokens

# TLS.
make_ca ca && make_cert ca server && make_cert ca client
start tls token-server -H tcp://127.0.0.1:0 --data-dir "$tap_dir/tls_data" --tlsverify \
	--tlscacert="$tap_dir/ca.pem" --tlscert="$tap_dir/server.pem" --tlskey="$tap_dir/server.key"
tls=$pid
wait_for 20 logged tls "listening address=tcp"
server=127.0.0.1:$(port_of tls)
run create --discovery-opt "token.cacertfile=$tap_dir/ca.pem" "https://$server"
is 1 $status "without a certificate there is no token"
run create --discovery-opt "token.cacertfile=$tap_dir/ca.pem" \
	--discovery-opt "token.certfile=$tap_dir/client.pem" \
	--discovery-opt "token.keyfile=$tap_dir/client.key" "https://$server"
is 0 $status "with one there is"
[ -n "$out" ]
ok $? "and it is printed"
kill -HUP $tls
wait_for 20 logged tls "certificates read again"
ok $? "SIGHUP reads the certificates again"
echo garbage >"$tap_dir/server.pem"
kill -HUP $tls
wait_for 20 logged tls "the old ones stay in use"
ok $? "a bad file is told in the log"
kill -INT $tls
ended $tls
is 0 $status "SIGINT ends it with status 0"
finish
