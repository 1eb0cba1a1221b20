/* The programs that simulated containers can run: a few shell words, cat, and everything else,
 * which runs until it is stopped. */
#include "simulator/simulator_priv.h"

#include <string.h>

#define SCRIPT_COMMANDS_MAX 1000
#define LINE_MAX_BYTES 4096
#define HELD_MAX (1 << 20)

struct sim_proc {
	const struct sim_proc_ops *ops;
	void *arg;
	struct loop_timer *timer;
	struct str_list argv;     /* run first, unless empty */
	struct str_list commands; /* of a script, in order */
	size_t next;
	int status;      /* of the last command */
	bool cat, shell; /* reads its input */
	bool forever, paused, ended, busy;
	bool stdin_open, tty;
	bool input_ended, held_end;
	bool brief;       /* what is not built in takes no time */
	struct buf input; /* the terminal's line, or the shell's */
	struct buf held;  /* input that came while paused or busy; held_end: its end too */
};

static void proc_run(struct sim_proc *p);

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static bool is_shell(const char *name)
{
	return str_eq(name, "sh") || str_eq(name, "bash") || str_eq(name, "ash");
}

static bool is_word(const char *name)
{
	static const char *const words[] = {
		"cat", "echo", "exit", "false", "sleep", "true", "printf", "hostname", NULL};

	for (size_t i = 0; words[i]; i++)
		if (str_eq(name, words[i]))
			return true;
	return false;
}

bool sim_proc_is_idle(const struct str_list *argv, bool has_stdin, bool tty)
{
	const char *name = argv->len ? base_name(argv->items[0]) : "";

	(void)has_stdin;
	return !is_word(name) && !is_shell(name) && !tty;
}

/* Splits a script at `;`, `&&` and line ends, outside of quotes. */
static void script_split(struct str_list *out, const char *script)
{
	CLEANUP_BUF struct buf word = {0};
	char quote = '\0';

	buf_init(&word, SIM_BODY_MAX);
	for (const char *p = script;; p++) {
		bool both = !quote && p[0] == '&' && p[1] == '&';
		bool separator = !*p || both || (!quote && (*p == ';' || *p == '\n'));

		if (!separator) {
			if (quote ? *p == quote : *p == '\'' || *p == '"')
				quote = quote ? '\0' : *p;
			buf_append_char(&word, *p);
			continue;
		}
		if (strspn(buf_str(&word), " \t") < word.len && out->len < SCRIPT_COMMANDS_MAX)
			str_list_add(out, buf_str(&word));
		buf_reset(&word);
		if (!*p)
			return;
		p += both;
	}
}

/* Words of one command, quotes taken off. */
static void command_words(struct str_list *out, const char *command)
{
	CLEANUP_BUF struct buf word = {0};
	char quote = '\0';
	bool in_word = false;

	buf_init(&word, SIM_BODY_MAX);
	for (const char *p = command;; p++) {
		if (!*p || (!quote && (*p == ' ' || *p == '\t'))) {
			if (in_word)
				str_list_add(out, buf_str(&word));
			buf_reset(&word);
			in_word = false;
			if (!*p)
				return;
			continue;
		}
		in_word = true;
		if (quote ? *p == quote : *p == '\'' || *p == '"')
			quote = quote ? '\0' : *p;
		else
			buf_append_char(&word, *p);
	}
}

static void proc_output(struct sim_proc *p, int fd, const char *data, size_t len)
{
	CLEANUP_BUF struct buf out = {0};

	if (!p->tty) {
		p->ops->output(p->arg, fd, data, len);
		return;
	}
	/* A terminal has one output, and ends lines with CR LF. */
	buf_init(&out, 2 * len);
	for (size_t i = 0; i < len; i++) {
		if (data[i] == '\n')
			buf_append_char(&out, '\r');
		buf_append_char(&out, data[i]);
	}
	p->ops->output(p->arg, SIM_STDOUT, out.data, out.len);
}

static void proc_exit(struct sim_proc *p, int code)
{
	if (p->ended)
		return;
	p->ended = true;
	p->status = code & 255;
	/* Told from the loop, so that the owner may free p there. */
	loop_timer_start(p->timer, 0);
}

static void do_echo(struct sim_proc *p, const struct str_list *words)
{
	CLEANUP_BUF struct buf line = {0};
	size_t last = words->len;
	int fd = SIM_STDOUT;
	bool newline = true;
	size_t i = 1;

	if (last > 1 &&
		(str_eq(words->items[last - 1], ">&2") || str_eq(words->items[last - 1], "1>&2"))) {
		fd = SIM_STDERR;
		last--;
	}
	if (i < last && str_eq(words->items[i], "-n")) {
		newline = false;
		i++;
	}
	buf_init(&line, SIM_BODY_MAX + 16);
	for (size_t first = i; i < last; i++) {
		if (i > first)
			buf_append_char(&line, ' ');
		buf_append_str(&line, words->items[i]);
	}
	if (newline)
		buf_append_char(&line, '\n');
	p->status = 0;
	if (line.len)
		proc_output(p, fd, line.data, line.len);
}

/* Runs one command; false when what follows must wait, or nothing follows. */
static bool proc_command(struct sim_proc *p, const struct str_list *words)
{
	const char *name = words->len ? base_name(words->items[0]) : "true";
	const char *first = words->len > 1 ? words->items[1] : "";
	long long n;

	if (str_eq(name, "echo") || str_eq(name, "printf")) {
		do_echo(p, words);
	} else if (str_eq(name, "true") || str_eq(name, ":")) {
		p->status = 0;
	} else if (str_eq(name, "false")) {
		p->status = 1;
	} else if (str_eq(name, "exit")) {
		if (words->len > 1)
			p->status = str_to_int(first, 0, 255, &n, "status", NULL) ? 2 : (int)n;
		proc_exit(p, p->status);
		return false;
	} else if (str_eq(name, "sleep")) {
		p->status = 0;
		if (str_to_duration_ms(first, &n, "time", NULL) || n < 0) {
			p->forever = true; /* sleep infinity, among others */
			return false;
		}
		p->busy = true;
		loop_timer_start(p->timer, (uint64_t)n);
		return false;
	} else if (str_eq(name, "cat") && p->stdin_open) {
		p->cat = true;
		p->status = 0;
		return false;
	} else if (str_eq(name, "cat")) {
		p->status = 0;
	} else if (p->brief) {
		p->status = 0;
	} else {
		p->forever = true;
		return false;
	}
	return true;
}

/* Goes on with the script until it waits or is over. */
static void proc_run(struct sim_proc *p)
{
	while (!p->ended && !p->busy && !p->forever && !p->cat && !p->paused) {
		struct str_list words = p->argv;
		bool more;

		p->argv = (struct str_list){0};
		if (words.len) {
			more = proc_command(p, &words);
			str_list_free(&words);
			if (!more)
				return;
			continue;
		}
		if (p->next >= p->commands.len) {
			if (!p->shell || p->input_ended)
				proc_exit(p, p->status);
			return;
		}
		command_words(&words, p->commands.items[p->next++]);
		more = proc_command(p, &words);
		str_list_free(&words);
		if (!more)
			return;
	}
}

/* Gives what came in the meantime. */
static void proc_resume(struct sim_proc *p)
{
	CLEANUP_BUF struct buf held = p->held;

	buf_init(&p->held, held.max);
	proc_run(p);
	if (held.len)
		sim_proc_input(p, held.data, held.len);
	if (p->held_end && !p->busy && !p->paused) {
		p->held_end = false;
		sim_proc_input_end(p);
	}
}

static void proc_timer(void *arg)
{
	struct sim_proc *p = arg;

	if (p->ended) {
		p->ops->exit(p->arg, p->status);
		return;
	}
	p->busy = false;
	if (p->paused)
		return;
	proc_resume(p);
}

struct sim_proc *sim_proc_new(struct loop *loop, const struct str_list *argv, bool has_stdin,
	bool tty, const struct sim_proc_ops *ops, void *arg)
{
	struct sim_proc *p = xcalloc(1, sizeof(*p));
	const char *name = argv->len ? base_name(argv->items[0]) : "";

	p->ops = ops;
	p->arg = arg;
	p->timer = loop_timer_new(loop, proc_timer, p);
	p->stdin_open = has_stdin;
	p->tty = tty;
	buf_init(&p->input, LINE_MAX_BYTES);
	buf_init(&p->held, HELD_MAX);
	if (is_shell(name) && argv->len > 2 && str_eq(argv->items[1], "-c")) {
		script_split(&p->commands, argv->items[2]);
	} else if (is_shell(name) && argv->len == 1) {
		p->shell = true;
		/* Without an input a shell sees its end at once; a terminal stays silent. */
		p->input_ended = !has_stdin && !tty;
	} else {
		for (size_t i = 0; i < argv->len; i++)
			str_list_add(&p->argv, argv->items[i]);
	}
	/* The first step is taken from the loop, so that nobody hears of it before the start. */
	p->busy = true;
	loop_timer_start(p->timer, 0);
	return p;
}

static void proc_take(struct sim_proc *p, const char *data, size_t len)
{
	if (p->cat) {
		proc_output(p, SIM_STDOUT, data, len);
		return;
	}
	if (!p->shell)
		return;
	for (size_t i = 0; i < len; i++) {
		if (data[i] != '\n') {
			buf_append_char(&p->input, data[i]); /* what is too long is cut */
			continue;
		}
		if (p->commands.len - p->next < SCRIPT_COMMANDS_MAX)
			script_split(&p->commands, buf_str(&p->input));
		buf_reset(&p->input);
		proc_run(p);
		if (p->ended)
			return;
	}
}

/* A terminal shows what is typed, and hands it on by lines. */
static void proc_type(struct sim_proc *p, char c)
{
	if (c == 3) {
		proc_output(p, SIM_STDOUT, "^C", 2);
		proc_exit(p, 130);
	} else if (c == 4 && !p->input.len) {
		sim_proc_input_end(p);
	} else if (c == '\r' || c == '\n') {
		CLEANUP_BUF struct buf line = p->input;

		buf_init(&p->input, LINE_MAX_BYTES);
		buf_append_char(&line, '\n');
		proc_output(p, SIM_STDOUT, "\n", 1);
		proc_take(p, line.data, line.len);
	} else {
		buf_append_char(&p->input, c);
		proc_output(p, SIM_STDOUT, &c, 1);
	}
}

void sim_proc_input(struct sim_proc *p, const char *data, size_t len)
{
	if (p->ended || p->input_ended)
		return;
	if (p->busy || p->paused) {
		buf_append(&p->held, data, len);
		return;
	}
	if (!p->tty) {
		proc_take(p, data, len);
		return;
	}
	for (size_t i = 0; i < len && !p->ended && !p->input_ended; i++)
		proc_type(p, data[i]);
}

void sim_proc_input_end(struct sim_proc *p)
{
	if (p->ended || p->input_ended)
		return;
	if (p->busy || p->paused) {
		p->held_end = true;
		return;
	}
	p->input_ended = true;
	p->cat = false;
	proc_run(p);
}

void sim_proc_pause(struct sim_proc *p, bool paused)
{
	p->paused = paused;
	if (!paused && !p->busy)
		proc_resume(p);
}

void sim_proc_brief(struct sim_proc *p)
{
	p->brief = true;
}

void sim_proc_free(struct sim_proc *p)
{
	if (!p)
		return;
	loop_timer_free(p->timer);
	str_list_free(&p->argv);
	str_list_free(&p->commands);
	buf_reset(&p->input);
	buf_reset(&p->held);
	free(p);
}
