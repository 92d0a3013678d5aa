#include "config.h"

#include "own_addr.h"

#include <string.h>

static struct own_addr_voice *voice_of(struct own_addr *o, const uint8_t source[20])
{
	struct own_addr_voice *v;

	for (size_t i = 0; i < o->n; i++)
		if (memcmp(o->voices[i].source, source, 20) == 0)
			return &o->voices[i];
	if (o->n == OWN_ADDR_VOICES)
		return NULL;
	v = &o->voices[o->n++];
	memcpy(v->source, source, 20);
	v->addr = (struct addr){ 0 };
	return v;
}

void own_addr_add(struct own_addr *o, const struct addr *a, const uint8_t source[20], uint64_t now_ms)
{
	struct own_addr_voice *v = voice_of(o, source);

	if (!v || addr_ip_eq(&v->addr, a))
		return;
	v->addr = *a;
	v->addr.port = 0;
	v->since_ms = now_ms;
}

static unsigned voices_for(const struct own_addr *o, const struct addr *a)
{
	unsigned n = 0;

	for (size_t i = 0; i < o->n; i++)
		n += addr_ip_eq(&o->voices[i].addr, a);
	return n;
}

bool own_addr_choose(const struct own_addr *o, struct addr *ret, const struct addr *current, uint64_t now_ms)
{
	const struct own_addr_voice *best = NULL;
	unsigned most = 0;

	for (size_t i = 0; i < o->n; i++) {
		unsigned n = voices_for(o, &o->voices[i].addr);

		if (n > most) {
			most = n;
			best = &o->voices[i];
		}
	}
	if (!best)
		return false;
	if (current && (most < 2 || most <= voices_for(o, current)))
		return false;
	if (most < 2 && (o->n > 1 || now_ms < best->since_ms + OWN_ADDR_ALONE_MS))
		return false;
	*ret = best->addr;
	return true;
}
