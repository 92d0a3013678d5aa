/* EXTEND2 bodies; what is accepted survives being built and parsed again. */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "../../relay/linkspec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static uint8_t out[70000];
	struct extend_target a, b;
	size_t out_len;

	if (extend2_parse(&a, data, len) < 0)
		return 0;
	if (a.hdata < data || a.hdata + a.hlen != data + len)
		abort();
	if (extend2_build(out, sizeof(out), &out_len, &a) < 0 || extend2_parse(&b, out, out_len) < 0)
		abort();
	if (!addr_eq(&a.v4, &b.v4) || !addr_eq(&a.v6, &b.v6) || a.htype != b.htype || a.hlen != b.hlen ||
	    a.has_ed_id != b.has_ed_id || memcmp(a.rsa_id, b.rsa_id, 20) != 0 ||
	    memcmp(a.ed_id, b.ed_id, 32) != 0 || memcmp(a.hdata, b.hdata, a.hlen) != 0)
		abort();
	return 0;
}
