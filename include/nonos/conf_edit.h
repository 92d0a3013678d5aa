/*
 * Changing the text of a configuration file: only the lines of the option
 * change, comments and order stay. Neither function checks the result;
 * config_parse() does.
 */
#ifndef NONOS_CONF_EDIT_H
#define NONOS_CONF_EDIT_H

#include <stddef.h>

#include <nonos/conf.h>

/*
 * Give the text with `id` set to the `n` values, a line each; none removes the
 * option. *ret is malloc()ed. ERR_MALFORMED for a value that no line can hold: with line breaks,
 * white space around it, or " #".
 */
int config_edit(char **ret, const char *text, size_t len, enum option_id id, const char *const *values, size_t n);

/* The option that "key" or "section.key" names; -1 when there is none. */
int option_by_name(const char *name);

/* Whether the option takes the value; `err` says what is allowed. */
int option_check(enum option_id id, const char *value, char *err, size_t err_cap);

/* -- older files ------------------------------------------------------------------ */

enum { CONFIG_VERSION = 2 };

/*
 * Give the text as the newest version has it. `told`, if not NULL, hears a sentence for
 * each change. *ret is malloc()ed; *ret_changes counts. ERR_UNSUPPORTED when the file
 * is of a newer version than this.
 */
int config_migrate(char **ret, unsigned *ret_changes, const char *text, size_t len,
		   void (*told)(void *arg, const char *sentence), void *arg);

/* Where an older version had the option: the section of the key that is now in another one, else NULL. */
const char *config_old_place(const char *section, const char *key, size_t key_len);

#endif
