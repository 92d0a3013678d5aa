#include "config.h"

#include "passphrase.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

/* -- from a file ------------------------------------------------------------------ */

/*
 * Read up to a line end, a byte at a time, so that what follows stays for others.
 * `waiting`, if not NULL, is the mask to wait for each byte with: a signal ends that.
 */
static int read_line(struct secret **ret, int fd, const sigset_t *waiting)
{
	struct secret *s = secret_new(NULL, PASSPHRASE_MAX + 1);
	uint8_t *text = secret_data_mut(s);
	size_t len = 0;
	ssize_t n = 0;

	while (len <= PASSPHRASE_MAX) {
		struct pollfd p = { .fd = fd, .events = POLLIN };

		n = waiting ? ppoll(&p, 1, NULL, waiting) : 1;
		if (n > 0)
			n = read(fd, text + len, 1);
		if (n < 0 && errno == EINTR && !waiting)
			continue;
		if (n <= 0 || text[len] == '\n')
			break;
		len++;
	}
	if (len > 0 && len <= PASSPHRASE_MAX && text[len - 1] == '\r')
		len--;
	if (n >= 0 && len <= PASSPHRASE_MAX)
		*ret = secret_new(text, len);
	secret_free(s);
	return n < 0 ? -1 : len > PASSPHRASE_MAX ? 1 : 0;
}

static int from_file(struct secret **ret, const char *path)
{
	bool standard = strcmp(path, "-") == 0;
	int fd = standard ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY), r;
	struct stat st;

	if (fd < 0)
		return complain(EXIT_REFUSED, "%s: %s", path, strerror(errno));
	/* A pipe is its maker's affair. */
	if (!standard && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_mode & 077) {
		close(fd);
		return complain(EXIT_REFUSED, "%s: others may read or change this pass phrase; chmod 600 it", path);
	}
	r = read_line(ret, fd, NULL);
	if (r < 0)
		complain(EXIT_REFUSED, "%s: %s", path, strerror(errno));
	else if (r > 0)
		complain(EXIT_REFUSED, "%s: a pass phrase has at most %d bytes", path, PASSPHRASE_MAX);
	if (!standard)
		close(fd);
	return r ? EXIT_REFUSED : EXIT_OK;
}

/* -- from the terminal -------------------------------------------------------------- */

static const int caught[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP };

enum { N_CAUGHT = sizeof(caught) / sizeof(caught[0]) };

static volatile sig_atomic_t interrupted;

static void on_signal(int signo)
{
	interrupted = signo;
}

/* How signals were before. */
struct signals {
	struct sigaction actions[N_CAUGHT];
	sigset_t mask;
};

/* They are let in only where input is waited for, and the terminal is put right before one has its effect. */
static void catch_signals(struct signals *old)
{
	struct sigaction sa = { .sa_handler = on_signal };
	sigset_t blocked;

	sigemptyset(&sa.sa_mask);
	sigemptyset(&blocked);
	interrupted = 0;
	for (size_t i = 0; i < N_CAUGHT; i++)
		sigaddset(&blocked, caught[i]);
	sigprocmask(SIG_BLOCK, &blocked, &old->mask);
	for (size_t i = 0; i < N_CAUGHT; i++)
		sigaction(caught[i], &sa, &old->actions[i]);
}

static void release_signals(const struct signals *old)
{
	for (size_t i = 0; i < N_CAUGHT; i++)
		sigaction(caught[i], &old->actions[i], NULL);
	if (interrupted)
		raise(interrupted);
	sigprocmask(SIG_SETMASK, &old->mask, NULL);
}

static void show_prompt(int tty, const char *prompt, const char *what)
{
	dprintf(tty, "%s of ", prompt);
	for (const unsigned char *p = (const unsigned char *)what; *p; p++)
		dprintf(tty, "%c", *p < 0x20 || *p == 0x7f ? '?' : *p);
	dprintf(tty, ": ");
}

/* Nothing shows from before the prompt on, so that nobody types too early to be hidden. */
static int read_hidden(struct secret **ret, int tty, const char *prompt, const char *what)
{
	struct signals signals;
	struct termios old, hidden;
	int r = -1;

	if (tcgetattr(tty, &old) < 0)
		return -1;
	hidden = old;
	hidden.c_lflag &= ~(tcflag_t)(ECHO | ECHOE | ECHOK | ECHONL);
	hidden.c_lflag |= ICANON | ISIG;
	catch_signals(&signals);
	if (tcsetattr(tty, TCSAFLUSH, &hidden) == 0) {
		show_prompt(tty, prompt, what);
		r = read_line(ret, tty, &signals.mask);
		tcsetattr(tty, TCSAFLUSH, &old);
		dprintf(tty, "\n");
	}
	release_signals(&signals);
	return r;
}

static int ask(struct secret **ret, int tty, const char *prompt, const char *what)
{
	int r = read_hidden(ret, tty, prompt, what);

	if (r > 0)
		return complain(EXIT_REFUSED, "a pass phrase has at most %d bytes", PASSPHRASE_MAX);
	return r < 0 ? complain(EXIT_REFUSED, "no pass phrase was read from the terminal") : EXIT_OK;
}

static int open_terminal(int *ret)
{
	int tty = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);

	if (tty < 0)
		return complain(EXIT_REFUSED, "there is no terminal to ask for the pass phrase on; give --password-file FILE "
				"(/dev/fd/N for a descriptor) or set NONOS_PASSWORD_FILE");
	*ret = tty;
	return EXIT_OK;
}

/* -- public --------------------------------------------------------------------------- */

static const char *source(const struct invocation *in, const char *file_param)
{
	const char *path = param_text(in->params, file_param), *env = getenv("NONOS_PASSWORD_FILE");

	return path ? path : env && env[0] ? env : NULL;
}

int passphrase_old(struct secret **ret, const struct invocation *in, const char *file_param, const char *what)
{
	const char *path = source(in, file_param);
	int tty = -1, r;

	if (path)
		return from_file(ret, path);
	r = open_terminal(&tty);
	if (r != EXIT_OK)
		return r;
	r = ask(ret, tty, "Pass phrase", what);
	close(tty);
	return r;
}

static int ask_twice(struct secret **ret, const char *what)
{
	struct secret *first = NULL, *second = NULL;
	int tty = -1, r = open_terminal(&tty);

	if (r != EXIT_OK)
		return r;
	r = ask(&first, tty, "New pass phrase", what);
	if (r == EXIT_OK)
		r = ask(&second, tty, "Once more, the new pass phrase", what);
	if (r == EXIT_OK && (secret_len(first) != secret_len(second) ||
			     !secret_eq(secret_data(first), secret_data(second), secret_len(first))))
		r = complain(EXIT_REFUSED, "the two pass phrases differ; nothing was written");
	close(tty);
	secret_free(second);
	if (r == EXIT_OK)
		*ret = first;
	else
		secret_free(first);
	return r;
}

int passphrase_new(struct secret **ret, const struct invocation *in, const char *file_param, const char *what)
{
	const char *path = source(in, file_param);
	struct secret *s = NULL;
	int r = path ? from_file(&s, path) : ask_twice(&s, what);

	if (r == EXIT_OK && secret_len(s) < PASSPHRASE_MIN)
		r = complain(EXIT_REFUSED, "a new pass phrase has at least %d bytes; nothing was written", PASSPHRASE_MIN);
	if (r == EXIT_OK)
		*ret = s;
	else
		secret_free(s);
	return r;
}
