/*
 * Between the two files of `doctor`: each check adds rows to a list. A row has
 * a name, pass, warn, fail or skip, what was found, and for the middle two what
 * to do about it.
 */
#ifndef CTL_DOCTOR_H
#define CTL_DOCTOR_H

#include <stdbool.h>

#include <jansson.h>

#include <nonos/conf.h>

enum verdict { VERDICT_PASS, VERDICT_WARN, VERDICT_FAIL, VERDICT_SKIP, VERDICTS };

struct doctor {
	const struct config *config;
	const char *config_path;
	json_t *status;			/* of the running daemon that uses this configuration; NULL: none runs */
	json_t *checks;
	unsigned count[VERDICTS];
};

/* `fix` NULL or "" when there is nothing to do. */
void doctor_say(struct doctor *d, enum verdict v, const char *name, const char *fix, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));

/* -- doctor_machine.c: clock, limits, kernel, network --------------------------------- */

void doctor_check_clock(struct doctor *d);
void doctor_check_limits(struct doctor *d);
void doctor_check_kernel(struct doctor *d);
void doctor_check_ports(struct doctor *d);
void doctor_check_address(struct doctor *d);
void doctor_check_dns(struct doctor *d);
void doctor_check_authorities(struct doctor *d);

#endif
