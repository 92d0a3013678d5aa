/*
 * What an operator should look at, judged from a finished `status`: pure, so
 * that each rule can be tried with a status made by hand. Members that a
 * status lacks are passed over.
 */
#ifndef DAEMON_ATTENTION_H
#define DAEMON_ATTENTION_H

#include <stdint.h>

#include <jansson.h>

/*
 * A new list of {"severity": "problem" or "warning", "what", "do"}, worst
 * first; empty when all is well. `now` is wall seconds.
 */
json_t *attention_make(const json_t *status, int64_t now);

/*
 * A new list of {"name", "health", "detail"}, one for each thing outside that the
 * relay depends on. "health" is ok, failing or unknown.
 */
json_t *dependencies_make(const json_t *status, int64_t now);

#endif
