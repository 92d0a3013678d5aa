/* A frame on the pipe: the first byte chooses direction and descriptors. */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>

#include "../../src/daemon/message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void read_payload(struct frame *f)
{
	static struct message_config_text text;
	static struct link_keys link;
	struct rd *r = &f->payload;
	struct relay_config config;
	struct relay_counters counters;
	struct message_log log;
	struct message_seen seen;
	struct message_skew skew;
	struct sandbox_state confined;
	struct onion_keys onion;
	struct net_params params;
	struct message_ask ask;
	static struct link_page page;
	struct circuits_view circuits;
	struct dns_view dns;
	uint32_t id;
	static struct message_state hand_state;
	struct message_hand_ask hand_ask;
	enum relay_drain drain;
	char sentence[64];

	switch ((enum message_type)f->row->type) {
	case MSG_LOG:
		message_log_read(&log, r);
		break;
	case MSG_CONFIG:
		message_config_read(&config, &text, r);
		break;
	case MSG_LINK_KEYS:
		message_link_keys_read(&link, r);
		break;
	case MSG_ONION_KEYS:
		message_onion_keys_read(&onion, r);
		break;
	case MSG_PARAMS:
		message_params_read(&params, r);
		break;
	case MSG_COUNTERS:
		message_counters_read(&counters, r);
		break;
	case MSG_ADDRESS_SEEN:
		message_seen_read(&seen, r);
		break;
	case MSG_CLOCK_SKEW:
		message_skew_read(&skew, r);
		break;
	case MSG_CONFINED:
		message_confined_read(&confined, r);
		break;
	case MSG_ASK:
		message_ask_read(&ask, r);
		break;
	case MSG_LINKS:
		if (message_links_read(&id, &page, r) == 0 && page.n > LINK_ROWS_MAX)
			abort();
		break;
	case MSG_CIRCUITS:
		message_circuits_read(&id, &circuits, r);
		break;
	case MSG_DNS:
		if (message_dns_read(&id, &dns, r) == 0 && dns.n > DNS_SERVERS_MAX)
			abort();
		break;
	case MSG_DRAIN:
		message_drain_read(&drain, r);
		break;
	case MSG_TAKE_ASK:
		message_hand_ask_read(&hand_ask, r);
		break;
	case MSG_GIVE_STATE:
		message_state_read(&hand_state, r);
		break;
	case MSG_GIVE_REFUSED: case MSG_GIVE_COUNTERS:
		message_text_read(sentence, sizeof(sentence), r);
		break;
	case MSG_DOCUMENT: case MSG_LISTEN: case MSG_CONFINE: case MSG_WAIT: case MSG_RATE: case MSG_READY: case MSG_REACHED:
	case MSG_DRAINED: case MSG_TAKE_READY: case MSG_GIVE_SOCKET: case MSG_GIVE_ALL: case MSG_GIVE_DONE:
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct frame f;

	if (len < 1)
		return 0;
	if (frame_parse(&f, data + 1, len - 1, (enum message_direction)(data[0] >> 2 & 2) | (data[0] & 1), data[0] >> 1 & 1) == 0)
		read_payload(&f);
	return 0;
}
