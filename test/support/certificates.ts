import { generateKeyPairSync, type KeyObject, randomBytes, sign } from "node:crypto";
import { isIP } from "node:net";

/** A certificate and its private key, as PEM texts. */
export interface Certificate {
  readonly cert: Buffer;
  readonly key: Buffer;
}

/** For whom a certificate is made. */
export interface Subject {
  /** Names and addresses that it is for. */
  readonly names: readonly string[];
  /** True for one whose time is over. */
  readonly expired?: boolean;
}

// X.509 (RFC 5280) as far as tests need it, written with Node alone, so that they need no program and no library.

/** An authority for one test: its certificate, and certificates that it signs. ECDSA on P-256 with SHA-256. */
export class Authority {
  private readonly pair = generateKeyPairSync("ec", { namedCurve: "P-256" });
  /** The authority's own certificate. */
  readonly cert: Buffer;

  constructor(private readonly name: string) {
    this.cert = this.signed(this.pair.publicKey, { subject: name, expired: false }, [
      extension("2.5.29.19", sequence(tagged(0x01, Buffer.of(0xff)))), // it may sign others
    ]);
  }

  /** A certificate for these names. */
  issue({ names, expired = false }: Subject): Certificate {
    const pair = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const alternatives = sequence(...names.map(alternativeName));
    const cert = this.signed(pair.publicKey, { subject: names[0] ?? "nobody", expired }, [
      extension("2.5.29.17", alternatives),
    ]);
    return { cert, key: Buffer.from(pair.privateKey.export({ type: "pkcs8", format: "pem" })) };
  }

  private signed(
    publicKey: KeyObject,
    { subject, expired }: { readonly subject: string; readonly expired: boolean },
    extensions: readonly Buffer[],
  ): Buffer {
    const algorithm = sequence(oid("1.2.840.10045.4.3.2"));
    const day = 86_400_000;
    const now = Date.now();
    const body = sequence(
      tagged(0xa0, integer(Buffer.of(2))),
      integer(Buffer.concat([Buffer.of(1), randomBytes(15)])),
      algorithm,
      nameOf(this.name),
      sequence(time(now - 3 * day), time(expired ? now - day : now + day)),
      nameOf(subject),
      publicKey.export({ type: "spki", format: "der" }),
      tagged(0xa3, sequence(...extensions)),
    );
    const signature = sign("sha256", body, this.pair.privateKey);
    const der = sequence(body, algorithm, tagged(0x03, Buffer.of(0), signature));
    const lines = der.toString("base64").match(/.{1,64}/g) ?? [];
    return Buffer.from(`-----BEGIN CERTIFICATE-----\n${lines.join("\n")}\n-----END CERTIFICATE-----\n`);
  }
}

function tagged(tag: number, ...contents: readonly Buffer[]): Buffer {
  const content = Buffer.concat(contents);
  const size = content.length;
  const length = size < 0x80 ? [size] : size < 0x100 ? [0x81, size] : [0x82, size >> 8, size & 0xff];
  return Buffer.concat([Buffer.of(tag, ...length), content]);
}

function sequence(...contents: readonly Buffer[]): Buffer {
  return tagged(0x30, ...contents);
}

function integer(bytes: Buffer): Buffer {
  return tagged(0x02, bytes);
}

/** Numbers in groups of seven bits, the first two in one. */
function oid(text: string): Buffer {
  const [first = 0, second = 0, ...rest] = text.split(".").map(Number);
  const bytes = [40 * first + second, ...rest].flatMap((number) => {
    const groups = [number & 0x7f];
    for (let left = number >> 7; left > 0; left >>= 7) groups.unshift((left & 0x7f) | 0x80);
    return groups;
  });
  return tagged(0x06, Buffer.from(bytes));
}

function nameOf(text: string): Buffer {
  return sequence(tagged(0x31, sequence(oid("2.5.4.3"), tagged(0x0c, Buffer.from(text)))));
}

function time(ms: number): Buffer {
  const text = new Date(ms).toISOString().replaceAll(/[-:T]|\.\d+/g, "");
  return tagged(0x17, Buffer.from(text.slice(2))); // years of two digits
}

function alternativeName(name: string): Buffer {
  if (isIP(name) === 4) return tagged(0x87, Buffer.from(name.split(".").map(Number)));
  return tagged(0x82, Buffer.from(name));
}

function extension(id: string, value: Buffer): Buffer {
  return sequence(oid(id), tagged(0x04, value));
}
