// An independent verifier of claim bundles: no line of it is nonos', and the cryptography is that of
// wallets and contracts: viem, ethers, OpenZeppelin's Merkle tree, and Node's own Ed25519.
//
//   node verify_claim.mjs SCHEMA BUNDLE [GENESIS-HASH]
//
// Prints one line of JSON and exits 0, or says what is wrong and exits 1. The packages are
// taken from $NONOS_JS, a directory with node_modules.
import { readFileSync } from 'node:fs';
import { createHash, createPublicKey, verify } from 'node:crypto';
import { createRequire } from 'node:module';

const load = createRequire(`${process.env.NONOS_JS ?? '.'}/index.js`);
const viem = load('viem');
const ethers = load('ethers');
const { StandardMerkleTree } = load('@openzeppelin/merkle-tree');

const NUMBER = /^(0|[1-9]\d*)$/;
const HALF_ORDER = 0x7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0n;
const [schemaPath, bundlePath, trusted] = process.argv.slice(2);

function need(good, what) {
	if (!good)
		throw new Error(what);
}

// RFC 8785, for what these documents hold: no number but whole ones, no names beyond ASCII.
function canonical(value) {
	if (Array.isArray(value))
		return `[${value.map(canonical).join(',')}]`;
	if (value && typeof value === 'object')
		return `{${Object.keys(value).sort().map((k) => `${JSON.stringify(k)}:${canonical(value[k])}`).join(',')}}`;
	return JSON.stringify(value);
}

const sha256 = (...parts) => createHash('sha256').update(Buffer.concat(parts.map((p) => Buffer.from(p)))).digest();

// -- the network ----------------------------------------------------------------

function networkOf(genesis) {
	const hash = viem.keccak256(viem.stringToBytes(canonical(genesis)));

	need(!trusted || trusted === hash, `the bundle is of network ${hash}`);
	return { hash, contract: viem.getAddress(`0x${hash.slice(-40)}`) };
}

// -- what auditors signed ---------------------------------------------------------

async function signersOf(schema, network, entry) {
	const domain = { name: schema.domain.name, version: schema.domain.version, chainId: 0, verifyingContract: network.contract };
	const types = { EpochRoot: schema.types.EpochRoot };
	const found = [];

	need(entry.primaryType === 'EpochRoot', 'the entry is no EpochRoot');
	for (const signature of entry.signatures) {
		const s = BigInt(`0x${signature.slice(66, 130)}`);
		const one = await viem.recoverTypedDataAddress({ domain, types, primaryType: 'EpochRoot', message: entry.message, signature });

		need(signature.length === 132 && /^0x[0-9a-f]+(1b|1c)$/.test(signature) && s <= HALF_ORDER, 'a signature is malleable');
		need(ethers.verifyTypedData(domain, types, entry.message, signature) === one, 'viem and ethers disagree');
		need(!found.includes(one), 'an auditor signed twice');
		found.push(one);
	}
	return found;
}

// -- the log (C2SP tlog-proof, signed-note; RFC 9162, 2.1.3.2) -----------------------

function checkNote(note, vkey) {
	const at = note.indexOf('\n\n');
	const text = note.slice(0, at + 1);
	const [name, id, key] = vkey.split(/\+([0-9a-f]{8})\+/);
	const raw = Buffer.from(key, 'base64');
	const spki = Buffer.concat([Buffer.from('302a300506032b6570032100', 'hex'), raw.subarray(1)]);
	const publicKey = createPublicKey({ key: spki, format: 'der', type: 'spki' });
	const line = note.slice(at + 2).split('\n').find((l) => l.startsWith(`\u2014 ${name} `));

	need(raw[0] === 1 && raw.length === 33, 'the key of the log is not Ed25519');
	need(sha256(name, '\n', raw).subarray(0, 4).toString('hex') === id, 'the id of the log key is not its own');
	need(line, 'the log has not signed the checkpoint');
	const signature = Buffer.from(line.split(' ')[2], 'base64');
	need(signature.subarray(0, 4).toString('hex') === id, 'the checkpoint is signed by another key');
	need(verify(null, Buffer.from(text), publicKey, signature.subarray(4)), 'the signature of the checkpoint is wrong');
	const [origin, size, root] = text.split('\n');
	need(origin === name, 'the checkpoint is of another log');
	return { size: BigInt(size), root: Buffer.from(root, 'base64') };
}

function rootFrom(leaf, index, size, path) {
	let fn = index, sn = size - 1n, hash = leaf;

	need(index < size, 'the entry is behind the checkpoint');
	for (const p of path) {
		need(sn > 0n, 'the proof is too long');
		if (fn & 1n || fn === sn) {
			hash = sha256([1], p, hash);
			while (!(fn & 1n) && fn !== 0n) {
				fn >>= 1n;
				sn >>= 1n;
			}
		} else {
			hash = sha256([1], hash, p);
		}
		fn >>= 1n;
		sn >>= 1n;
	}
	need(sn === 0n, 'the proof is too short');
	return hash;
}

function checkLog(log, entry, vkey) {
	const at = log.indexOf('\n\n');
	const [magic, index, ...path] = log.slice(0, at).split('\n');

	need(magic === 'c2sp.org/tlog-proof@v1' && index.startsWith('index ') && NUMBER.test(index.slice(6)), 'the log is no tlog-proof');
	const checkpoint = checkNote(log.slice(at + 2), vkey);
	const leaf = sha256([0], canonical(entry));
	const root = rootFrom(leaf, BigInt(index.slice(6)), checkpoint.size, path.map((p) => Buffer.from(p, 'base64')));
	need(root.equals(checkpoint.root), 'the entry is not in the log');
}

// -- all of it --------------------------------------------------------------------

async function main() {
	const schema = JSON.parse(readFileSync(schemaPath, 'utf8'));
	const bundle = JSON.parse(readFileSync(bundlePath, 'utf8'));
	const { entry, genesis } = bundle;

	need(bundle.format === 'nonos-claim-1', 'not a bundle of a claim');
	// BigInt() takes hexadecimal and blanks, too: what is printed is what people read.
	need(typeof bundle.amount === 'string' && NUMBER.test(bundle.amount), 'the amount is not a number in its one form');
	need(typeof entry.message.epoch === 'string' && NUMBER.test(entry.message.epoch), 'the epoch is not a number in its one form');
	const network = networkOf(genesis);
	need(StandardMerkleTree.verify(entry.message.root, ['address', 'uint256'], [bundle.account, bundle.amount], bundle.proof),
	     'account and amount are not in the tree');
	const signers = await signersOf(schema, network, entry);
	const auditors = genesis.auditors.addresses.map((a) => viem.getAddress(a));
	need(signers.every((s) => auditors.includes(s)), 'somebody signed who is no auditor');
	need(signers.length >= genesis.auditors.threshold, 'too few auditors signed');
	checkLog(bundle.log, entry, genesis.log);
	console.log(JSON.stringify({ account: bundle.account, amount: bundle.amount, epoch: entry.message.epoch, network: network.hash }));
}

main().catch((e) => {
	console.error(`refused: ${e.message}`);
	process.exitCode = 1;
});
