/*
 * The two clocks. The monotonic one drives timers; the wall clock is only for
 * what leaves the machine (certificates, documents, NETINFO). A test turns
 * both by hand with clock_set_manual(). The event loop calls clock_update()
 * once a round; between two calls the time stands still.
 */
#ifndef NONOS_CLOCK_H
#define NONOS_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

/* Read the system's clocks; no effect while the clock is turned by hand. */
void clock_update(void);

/* Milliseconds of the monotonic clock as of the last clock_update(). */
uint64_t clock_now_ms(void);

/* Microseconds of the monotonic clock as of the last clock_update(). */
uint64_t clock_now_us(void);

/* Microseconds of the monotonic clock, read now (RTT measurements, budgets). */
uint64_t clock_precise_us(void);

/* Seconds since 1970 as of the last clock_update(). */
int64_t clock_wall(void);

/* What clock_step() remembers; zero at first. */
struct clock_watch {
	int64_t offset_s;
	bool looked;
};

enum { CLOCK_TEXT_CAP = 40 };

/* Seconds since 1970 as "2026-11-22 11:19:15 UTC", in messages; as a number when no date can say it. Returns `out`. */
const char *clock_text(char out[CLOCK_TEXT_CAP], uint64_t wall_s);

/*
 * By how many seconds somebody set the wall clock since the last call: what it
 * went on more, or less, than the monotonic one. Rounding makes that 1 or -1 at times.
 */
int64_t clock_step(struct clock_watch *w);

/* Turn the clocks by hand from now on (tests): both stand at these values. */
void clock_set_manual(uint64_t mono_ms, int64_t wall_s);

/* Move both hand-turned clocks on. */
void clock_advance_ms(uint64_t ms);

#endif
