# For the shell tests: TAP output, a scratch folder, and runs of the program. Sourced.

: "${top_srcdir:=$(cd "$(dirname "$0")/../.." && pwd)}"
: "${top_builddir:=$top_srcdir/build}"
swarm=$top_builddir/swarm
# A sanitizer's report must not be taken for the program's own status 1.
ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}exitcode=99
UBSAN_OPTIONS=${UBSAN_OPTIONS:+$UBSAN_OPTIONS:}exitcode=99
LC_ALL=C
export ASAN_OPTIONS UBSAN_OPTIONS LC_ALL
unset SWARM_DISCOVERY SWARM_HOST SWARM_STRATEGY SWARM_ADVERTISE NOTIFY_SOCKET

tap_count=0
tap_failed=0
tap_pids=
tap_dir=$(mktemp -d "${TMPDIR:-/tmp}/swarm-test.XXXXXX") || exit 99

tap_cleanup() {
	for pid in $tap_pids; do
		kill -KILL "$pid" 2>/dev/null
	done
	rm -rf "$tap_dir"
}
trap tap_cleanup EXIT
trap 'exit 99' HUP INT TERM

# ok STATUS NAME: STATUS 0 is good.
ok() {
	tap_count=$((tap_count + 1))
	if [ "$1" -eq 0 ]; then
		echo "ok $tap_count - $2"
	else
		tap_failed=$((tap_failed + 1))
		echo "not ok $tap_count - $2"
	fi
}

skip() {
	tap_count=$((tap_count + 1))
	echo "ok $tap_count - $1 # SKIP $2"
}

diag() {
	echo "$*" | sed 's/^/# /'
}

# is WANT GOT NAME
is() {
	if [ "$1" = "$2" ]; then
		ok 0 "$3"
	else
		ok 1 "$3"
		diag "want: $1"
		diag "got:  $2"
	fi
}

# has TEXT PART NAME: PART stands somewhere in TEXT, literally.
has() {
	case $1 in
	*"$2"*) ok 0 "$3" ;;
	*)
		ok 1 "$3"
		diag "want part: $2"
		diag "in:        $1"
		;;
	esac
}

# run ARGUMENT...: leaves $status, $out and $err (its last newline dropped).
run() {
	timeout -k 5 30 "$swarm" "$@" >"$tap_dir/out" 2>"$tap_dir/err" </dev/null
	status=$?
	out=$(cat "$tap_dir/out")
	err=$(cat "$tap_dir/err")
}

# fails STATUS MESSAGE ARGUMENT...: exactly one line on standard error, which begins with
# "swarm: MESSAGE"; nothing on standard output.
fails() {
	want_status=$1
	want=$2
	shift 2
	run "$@"
	lines=$(wc -l <"$tap_dir/err")
	case $err in
	"swarm: $want"*) matches=0 ;;
	*) matches=1 ;;
	esac
	if [ "$status" -eq "$want_status" ] && [ $matches -eq 0 ] && [ "$lines" -eq 1 ] &&
		[ -z "$out" ]; then
		ok 0 "swarm $* -> $want_status"
	else
		ok 1 "swarm $* -> $want_status"
		diag "want: $want_status swarm: $want"
		diag "got:  $status $err"
		diag "out:  $out"
	fi
}

# start NAME ARGUMENT...: in the background; its log is $tap_dir/NAME.log, its output
# $tap_dir/NAME.out; leaves $pid.
start() {
	start_name=$1
	shift
	"$swarm" "$@" >"$tap_dir/$start_name.out" 2>"$tap_dir/$start_name.log" </dev/null &
	pid=$!
	tap_pids="$tap_pids $pid"
}

# wait_for SECONDS COMMAND...: until it succeeds.
wait_for() {
	wait_left=$(($1 * 20))
	shift
	until "$@" >/dev/null 2>&1; do
		wait_left=$((wait_left - 1))
		[ $wait_left -gt 0 ] || return 1
		sleep 0.05
	done
}

# logged NAME TEXT: the log of a started program holds TEXT.
logged() {
	grep -qF -e "$2" "$tap_dir/$1.log"
}

# How often.
log_count() {
	grep -cF -e "$2" "$tap_dir/$1.log"
}

# ended PID: leaves $status once the process has ended, at most 20 s later.
ended() {
	if ! wait_for 20 sh -c "! kill -0 $1 || grep -q '^State:.Z' /proc/$1/status"; then
		kill -KILL "$1"
		status=255
		return 1
	fi
	wait "$1"
	status=$?
}

finish() {
	echo "1..$tap_count"
	[ $tap_failed -eq 0 ]
	exit $?
}

# make_ca NAME, make_cert CA NAME [SAN]: PEM files $tap_dir/NAME.pem and NAME.key.
make_ca() {
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 \
		-subj "/CN=$1" -keyout "$tap_dir/$1.key" -out "$tap_dir/$1.pem" 2>/dev/null
}

make_cert() {
	openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$2" \
		-keyout "$tap_dir/$2.key" -out "$tap_dir/$2.csr" 2>/dev/null &&
		printf 'subjectAltName=%s\nextendedKeyUsage=serverAuth,clientAuth\n' \
			"${3:-IP:127.0.0.1}" >"$tap_dir/$2.ext" &&
		openssl x509 -req -days 2 -in "$tap_dir/$2.csr" -CA "$tap_dir/$1.pem" \
			-CAkey "$tap_dir/$1.key" -CAcreateserial -extfile "$tap_dir/$2.ext" \
			-out "$tap_dir/$2.pem" 2>/dev/null
}
