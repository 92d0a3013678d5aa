#include "config.h"

#include <nonos/clock.h>

#include <stdio.h>
#include <time.h>

static bool manual;
static bool read_once;
static uint64_t mono_us;
static int64_t wall_s;

static uint64_t system_mono_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

void clock_update(void)
{
	struct timespec ts;

	if (manual)
		return;
	mono_us = system_mono_us();
	clock_gettime(CLOCK_REALTIME, &ts);
	wall_s = ts.tv_sec;
	read_once = true;
}

static void need_time(void)
{
	if (!read_once)
		clock_update();
}

uint64_t clock_now_us(void)
{
	need_time();
	return mono_us;
}

uint64_t clock_now_ms(void)
{
	return clock_now_us() / 1000;
}

uint64_t clock_precise_us(void)
{
	return manual ? mono_us : system_mono_us();
}

int64_t clock_wall(void)
{
	need_time();
	return wall_s;
}

const char *clock_text(char out[CLOCK_TEXT_CAP], uint64_t seconds)
{
	time_t t = (time_t)seconds;
	struct tm tm;

	if (seconds > INT64_MAX || !gmtime_r(&t, &tm) || strftime(out, CLOCK_TEXT_CAP, "%Y-%m-%d %H:%M:%S UTC", &tm) == 0)
		snprintf(out, CLOCK_TEXT_CAP, "%llu", (unsigned long long)seconds);
	return out;
}

int64_t clock_step(struct clock_watch *w)
{
	int64_t offset = clock_wall() - (int64_t)(clock_now_us() / 1000000);
	int64_t step = w->looked ? offset - w->offset_s : 0;

	*w = (struct clock_watch){ .offset_s = offset, .looked = true };
	return step;
}

void clock_set_manual(uint64_t mono_ms, int64_t wall)
{
	manual = read_once = true;
	mono_us = mono_ms * 1000;
	wall_s = wall;
}

void clock_advance_ms(uint64_t ms)
{
	uint64_t before = mono_us / 1000000;

	mono_us += ms * 1000;
	wall_s += (int64_t)(mono_us / 1000000 - before);
}
