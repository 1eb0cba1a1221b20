#!/bin/sh
# Wrong command lines, addresses and certificates: exit status and message of each.

. "$(dirname "$0")/tap.sh"

d=nodes://127.0.0.1:1
see_manage="See 'swarm manage --help'."

# ---- The program ----

fails 2 "unknown command: nosuch. See 'swarm --help'." nosuch
fails 2 "unknown command: nosuch. See 'swarm --help'." help nosuch
fails 2 "unknown flag: --nosuch. See 'swarm --help'." --nosuch manage
fails 2 "unknown flag: -x. See 'swarm --help'." -x
fails 2 "flag needs an argument: -l. See 'swarm --help'." -l
for option in --log-level -log-level -l; do
	run $option loud manage $d
	is 2 "$status" "$option loud -> 2"
	has "$err" loud "and the message names it"
done
run -v
is "0 swarm version" "$status ${out% *}" "-v prints the version"
version=$out
for form in --version -version version; do
	run $form
	is "0 $version" "$status $out" "so does $form"
done
run
is 0 "$status" "without a command the help is shown"
has "$out" "Usage: swarm" "on standard output"
for form in "manage --help" "manage -h" "m -help" "help manage" "-D -experimental manage --help"; do
	run $form
	is "0 Usage: swarm manage" "$status $(echo "$out" | sed -n '1s/ \[.*//p')" "swarm $form"
done
run -l debug -experimental list nodes://10.0.0.1:2375
is "0 10.0.0.1:2375" "$status $out" "options of the program before the command"
run list -D --log-level=debug --experimental nodes://10.0.0.1:2375
is "0 10.0.0.1:2375" "$status $out" "and behind it"
"$swarm" list $d >/dev/full 2>"$tap_dir/err"
is 1 $? "output that cannot be written is an error"

# ---- Discovery, for the three that need it ----

for command in manage join list; do
	see="See 'swarm $command --help'."
	addr=
	[ $command = join ] && addr=--advertise=a:1
	fails 2 "discovery required to $command a cluster. $see" $command $addr
	fails 2 "discovery required to $command a cluster. $see" $command $addr ''
	fails 2 "discovery is given twice, by --discovery and as an argument. $see" \
		$command $addr --discovery $d $d
	fails 2 "unexpected argument: two. $see" $command $addr $d two
	fails 2 "unknown flag: --nosuch. $see" $command $addr $d --nosuch
	fails 2 "flag needs an argument: --discovery. $see" $command --discovery
	fails 2 "--discovery-opt must contain key=value strings: kv.path" \
		$command $addr $d --discovery-opt kv.path
	fails 2 "--discovery-opt must contain key=value strings: =x" \
		$command $addr $d --discovery-opt==x
	run $command $addr nosuch://a:1
	is 2 "$status" "swarm $command nosuch:// -> 2"
	has "$err" nosuch "and the message names the scheme"
	run $command $addr --discovery-opt nosuch.key=1 consul://127.0.0.1:1/x
	is 2 "$status" "swarm $command with an unknown discovery option -> 2"
	has "$err" nosuch.key "and the message names it"
done

# ---- manage ----

for bad in 0 0.5s 999ms -5s; do
	fails 2 "--heartbeat should be at least one second" manage --heartbeat=$bad $d
done
fails 2 "invalid --heartbeat: " manage --heartbeat soon $d
for bad in 0 0s -1s; do
	fails 2 "min refresh interval should be a positive number" \
		manage --engine-refresh-min-interval=$bad $d
done
fails 2 "max refresh interval cannot be less than min refresh interval" \
	manage --engine-refresh-max-interval 29s $d
fails 2 "max refresh interval cannot be less than min refresh interval" \
	manage --engine-refresh-min-interval 61s $d
fails 2 "invalid --engine-refresh-max-interval: " manage --engine-refresh-max-interval x $d
for bad in 0 -1; do
	fails 2 "invalid failure retry count" manage --engine-failure-retry=$bad $d
done
fails 2 "invalid --engine-failure-retry: " manage --engine-failure-retry many $d
for bad in -1 -1.5 -100; do
	fails 2 "swarm.overcommit should be larger than -1, $(printf %f "$bad") is invalid" \
		manage --cluster-opt swarm.overcommit=$bad $d
done
for bad in x '' nan inf 1e999 0.05x; do
	fails 2 "swarm.overcommit is not a number: $bad" \
		manage --cluster-opt swarm.overcommit=$bad $d
done
fails 2 "swarm.createretry can not be negative, -1 is invalid" \
	manage --cluster-opt swarm.createretry=-1 $d
fails 2 "swarm.createretry" manage --cluster-opt swarm.createretry=x $d
fails 2 "swarm.volumes is one or all, some is invalid" \
	manage --cluster-opt swarm.volumes=some $d
fails 2 "swarm.cpushares is auto, count or weight, some is invalid" \
	manage --cluster-opt swarm.cpushares=some $d
for bad in nosuch=1 swarm.nosuch=1 swarm.overcommit; do
	fails 2 "unknown --cluster-opt: $bad." manage --cluster-opt $bad $d
done
fails 2 'unsupported cluster "mesos-experimental"' manage -c mesos-experimental $d
for flag in --replication -replication=true --leader-election --replication-ttl=20s \
	--advertise=a:1 --addr=a:1; do
	fails 2 "${flag%%=*}: replication of managers is not available" manage $flag $d
done
for flag in --api-enable-cors --cors; do
	fails 2 "$flag: answers for other web origins are not available" manage $flag $d
done
fails 2 "--engine-refresh-retry: it is replaced by --engine-failure-retry" \
	manage --engine-refresh-retry 4 $d
for what in strategy filter; do
	run manage --$what nosuch $d
	is 2 "$status" "swarm manage --$what nosuch -> 2"
	has "$err" nosuch "and the message names it"
done
for bad in tcp:// http://a:1 tcp://a:99999 tcp://a:b tcp://a:-1 unix:// '[::1:1' ftp; do
	[ $bad = ftp ] && bad='tcp://a b:1'
	fails 2 "invalid --host $bad: " manage -H "$bad" $d
	fails 2 "invalid --host $bad: " manage -H tcp://127.0.0.1:0 -H "$bad" $d
done
SWARM_HOST=tcp://a:b
export SWARM_HOST
fails 2 "invalid --host tcp://a:b: " manage $d
unset SWARM_HOST
fails 1 "" manage -H tcp://192.0.2.1:12345 $d
has "$err" 192.0.2.1:12345 "an address that is not of this machine is named"
fails 1 "" manage -H "unix://$tap_dir/nosuch/sock" $d
has "$err" "$tap_dir/nosuch/sock" "a socket in a folder that does not exist is named"

# ---- TLS ----

make_ca ca && make_cert ca server && make_cert ca other
ok $? "certificates are made"
ca=$tap_dir/ca.pem
cert=$tap_dir/server.pem
key=$tap_dir/server.key
echo garbage >"$tap_dir/garbage.pem"
: >"$tap_dir/empty.pem"
mkdir "$tap_dir/folder.pem"

for flag in --tlscacert=$ca --tlscert=$cert --tlskey=$key; do
	fails 2 "--tlscert, --tlskey and --tlscacert require the use of either --tls or --tlsverify" \
		manage $flag $d
	fails 2 "--tlscert, --tlskey and --tlscacert require the use of either --tls or --tlsverify" \
		manage --tls=false $flag $d
done
for mode in --tls --tlsverify; do
	for given in "" "--tlscert=$cert" "--tlskey=$key" "--tlscacert=$ca"; do
		fails 2 "--tlscert and --tlskey must be provided when using --tls" \
			manage $mode $given $d
	done
done
fails 2 "--tlscacert must be provided when using --tlsverify" \
	manage --tlsverify --tlscert=$cert --tlskey=$key $d
fails 2 "value is neither true nor false: --tls. $see_manage" manage --tls=maybe $d

# tls_fails FILE-TO-BE-NAMED CA CERT KEY: status 1, and nothing listened.
tls_fails() {
	fails 1 "" manage --tlsverify --tlscacert="$2" --tlscert="$3" --tlskey="$4" \
		-H "unix://$tap_dir/early.sock" $d
	has "$err" "$1" "and the message names ${1#"$tap_dir/"}"
	[ ! -e "$tap_dir/early.sock" ]
	ok $? "and nothing listened"
}

for file in nosuch.pem garbage.pem empty.pem folder.pem; do
	tls_fails "$tap_dir/$file" "$tap_dir/$file" $cert $key
	tls_fails "$tap_dir/$file" $ca "$tap_dir/$file" $key
	tls_fails "$tap_dir/$file" $ca $cert "$tap_dir/$file"
done
tls_fails "$tap_dir/other.key" $ca $cert "$tap_dir/other.key"
if [ "$(id -u)" -ne 0 ]; then
	cp "$key" "$tap_dir/closed.key" && chmod 0 "$tap_dir/closed.key"
	tls_fails "$tap_dir/closed.key" $ca $cert "$tap_dir/closed.key"
else
	skip "a key that may not be read" "root may read all"
fi

# ---- join ----

fails 2 "missing mandatory --advertise flag" join $d
for bad in a a: :1 a:0 a:65536 a:b a:1:2 tcp://a:1 a/b:1 'a b:1' '[::1'; do
	fails 2 "--advertise should be of the form ip:port or hostname:port" \
		join --advertise "$bad" $d
	fails 2 "--advertise should be of the form ip:port or hostname:port" join -addr="$bad" $d
done
SWARM_ADVERTISE=nonsense
export SWARM_ADVERTISE
fails 2 "--advertise should be of the form ip:port or hostname:port" join $d
fails 2 "--delay should not be a negative number" join --addr a:1 --delay -1s $d
unset SWARM_ADVERTISE
fails 2 "--delay should not be a negative number" join --addr a:1 --delay=-1s $d
fails 2 "invalid --delay: " join --addr a:1 --delay=x $d
fails 2 "--heartbeat should be at least one second" join --addr a:1 --heartbeat=0.9s $d
fails 2 "--ttl must be strictly superior to the heartbeat value" \
	join --addr a:1 --heartbeat 60s --ttl 60s $d
fails 2 "--ttl must be strictly superior to the heartbeat value" join --addr a:1 --ttl 59s $d
fails 2 "invalid --ttl: " join --addr a:1 --ttl soon $d
for url in nodes://127.0.0.1:1 file:///dev/null; do
	run join --addr a:1 $url
	is 2 "$status" "swarm join ${url%%:*} -> 2: nothing can be registered there"
done

# ---- list ----

for bad in 0 -1s 0s; do
	fails 2 "--timeout should be a positive number" list --timeout=$bad $d
done
fails 2 "invalid --timeout: " list --timeout=x $d
run list "nodes://10.0.0.[9:11]:2375,b:1"
is "0 10.0.0.9:2375 10.0.0.10:2375 10.0.0.11:2375 b:1" \
	"$status $(echo "$out" | sort -V | tr '\n' ' ' | sed 's/ $//')" "a list is expanded"
run list 10.0.0.1:1,10.0.0.2:2
is "0 10.0.0.1:1 10.0.0.2:2" "$status $(echo $out)" "a bare list"
printf '# engines\n10.0.0.1:1 # one\n\n10.0.0.2:2\n' >"$tap_dir/engines"
run list "file://$tap_dir/engines"
is "0 10.0.0.1:1 10.0.0.2:2" "$status $(echo $out)" "a file"
began=$(date +%s)
fails 1 "discovery does not answer: " list --timeout 1s consul://127.0.0.1:1/x
[ $(($(date +%s) - began)) -lt 8 ]
ok $? "and does not wait much longer than its timeout"
fails 1 "discovery does not answer: " list --timeout 1s "file://$tap_dir/nosuch"

# ---- Environment and command line ----

SWARM_DISCOVERY=nodes://env:1
export SWARM_DISCOVERY
run list
is "0 env:1" "$status $out" "SWARM_DISCOVERY"
run list nodes://argument:1
is "0 argument:1" "$status $out" "the argument wins over it"
run list --discovery nodes://flag:1
is "0 flag:1" "$status $out" "and so does the flag"
unset SWARM_DISCOVERY

# ---- create ----

fails 2 "URL of a token server required to create a token." create
fails 2 "" create nosuch://a:1
fails 2 "--timeout should be a positive number" create --timeout 0 http://127.0.0.1:1
fails 1 "" create http://127.0.0.1:1
finish
