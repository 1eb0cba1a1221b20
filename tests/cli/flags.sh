#!/bin/sh
# `swarm COMMAND --help`, swarm.1 and docs/commands.md name the same flags and defaults.

. "$(dirname "$0")/tap.sh"

man=$top_srcdir/swarm.1
md=$top_srcdir/docs/commands.md

flags_of_help() {
	"$swarm" $1 --help | sed -n '/^Options:/,/^$/p' | grep '^  -' |
		grep -oE '(^|[ ,])--?[A-Za-z][A-Za-z-]*' | tr -d ' ,' | sort
}

# The list under ".Ss swarm COMMAND".
flags_of_man() {
	awk -v title="swarm${1:+ $1}" '
		/^\.S[sh] / { inside = ($0 == ".Ss " title) }
		inside && /^\.It Fl / {
			for (i = 2; i < NF; i++)
				if ($i == "Fl")
					print "-" $(i + 1)
		}' "$man" | sort
}

# The table under "## swarm COMMAND".
flags_of_md() {
	awk -v title="## swarm${1:+ $1}" '
		/^## / { inside = ($0 == title) }
		inside && /^\| `-/ { split($0, cell, "|"); print cell[2] }' "$md" |
		grep -oE '`--?[A-Za-z][A-Za-z-]*' | tr -d '`' | sort
}

# "--flag default" of every flag that has one.
defaults_of_help() {
	"$swarm" $1 --help | awk '
		/^  -/ { name = $0; sub(/^.*--/, "--", name); sub(/ .*$/, "", name); text = "" }
		/^        / { text = text $0 }
		text ~ /Default: / {
			value = text
			sub(/^.*Default: */, "", value)
			if (value ~ /\.( |$)/) {
				sub(/\. *Environment.*$/, "", value)
				sub(/\.$/, "", value)
				print name, value
				text = ""
			}
		}' | sort
}

defaults_of_md() {
	awk -v title="## swarm${1:+ $1}" -F '|' '
		/^## / { inside = ($0 == title) }
		inside && /^\| `-/ {
			name = $2; value = $3
			gsub(/`/, "", name); gsub(/[` ]/, "", value)
			sub(/^.*--/, "--", name); sub(/ .*$/, "", name)
			if (value != "")
				print name, value
		}' "$md" | sort
}

commands=$("$swarm" --help | sed -n '/^Commands:/,/^$/p' | sed -n 's/^  \([a-z-]*\).*/\1/p' |
	grep -v -x -e help -e version)
ok $? "swarm --help lists commands"

for command in '' $commands; do
	help=$(flags_of_help "$command")
	has "$help" "--help" "swarm $command --help lists flags"
	is "$help" "$(flags_of_man "$command")" "swarm $command: swarm.1 has the same flags"
	is "$help" "$(flags_of_md "$command")" "swarm $command: commands.md has the same flags"
	is "$(defaults_of_help "$command")" "$(defaults_of_md "$command")" \
		"swarm $command: commands.md has the same defaults"
done

is "$(grep -c '^## swarm' "$md")" "$(echo '' $commands | wc -w | awk '{print $1 + 1}')" \
	"commands.md has a section for every command and no other"

# Each environment variable of the help stands in both texts.
for variable in $(for c in $commands; do "$swarm" "$c" --help; done | tr -s '\n ' ' ' |
	grep -oE 'Environment: [A-Z_]+' | cut -d ' ' -f 2 | sort -u); do
	grep -qF ".Ev $variable" "$man" && grep -qF "\`$variable\`" "$md"
	ok $? "$variable is documented"
done

if command -v groff >/dev/null; then
	is '' "$(groff -mandoc -Tutf8 -ww -z "$man" 2>&1)" "swarm.1 is formatted without a warning"
else
	skip "swarm.1 is formatted without a warning" "groff is missing"
fi
finish
