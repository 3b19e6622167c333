const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const AROUND_BYTES_MAX = 4 * 2 ** 20;
const opening = new Set([0x7b, 0x5b]);
const closing = new Set([0x7d, 0x5d]);

/**
 * Cuts the objects at one depth out of a stream of JSON, so that a document of any size is read one object at a time. What
 * is around them is kept with a zero in the place of each, for somebody to parse. Nothing is checked here: a text that is
 * not JSON shows when its pieces are parsed.
 */
export class ObjectsAtDepth {
  readonly #depth: number;
  readonly #bytesMax: number;
  readonly #around: Uint8Array[] = [];
  #aroundBytes = 0;
  #held: Uint8Array[] = [];
  #heldBytes = 0;
  #level = 0;
  #inText = false;
  #escaped = false;
  /** Why reading had to end, or null. */
  failed: string | null = null;

  constructor(depth: number, bytesMax: number) {
    this.#depth = depth;
    this.#bytesMax = bytesMax;
  }

  /** Takes the next bytes and gives the objects that end in them; null stands for one that is too long. */
  take(chunk: Uint8Array): (Uint8Array | null)[] {
    const found: (Uint8Array | null)[] = [];
    let start = 0;
    for (let i = 0; i < chunk.length; i += 1) {
      const step = this.#step(chunk[i] ?? 0);
      if (step === "begins") {
        this.#keepAround(chunk.subarray(start, i));
        start = i;
      } else if (step === "ends") {
        this.#hold(chunk.subarray(start, i + 1));
        start = i + 1;
        found.push(this.#release());
      }
    }
    const rest = chunk.subarray(start);
    if (this.#level > this.#depth) this.#hold(rest);
    else this.#keepAround(rest);
    return found;
  }

  /** Passes one byte; says whether an object at the depth begins or ends with it. */
  #step(byte: number): "begins" | "ends" | null {
    if (this.#inText) this.#passText(byte);
    else if (byte === QUOTE) this.#inText = true;
    else if (opening.has(byte)) {
      this.#level += 1;
      if (this.#level === this.#depth + 1) return "begins";
    } else if (closing.has(byte)) {
      this.#level -= 1;
      if (this.#level === this.#depth) return "ends";
    }
    return null;
  }

  /** The document without the objects. */
  around(): Uint8Array {
    return Buffer.concat([...this.#around, ...this.#held]);
  }

  #passText(byte: number): void {
    if (this.#escaped) this.#escaped = false;
    else if (byte === BACKSLASH) this.#escaped = true;
    else if (byte === QUOTE) this.#inText = false;
  }

  #hold(bytes: Uint8Array): void {
    this.#heldBytes += bytes.length;
    if (this.#heldBytes <= this.#bytesMax) this.#held.push(bytes);
    else this.#held = [];
  }

  #release(): Uint8Array | null {
    const object = this.#heldBytes > this.#bytesMax ? null : Buffer.concat(this.#held);
    this.#held = [];
    this.#heldBytes = 0;
    this.#keepAround(Buffer.from("0"));
    return object;
  }

  #keepAround(bytes: Uint8Array): void {
    this.#aroundBytes += bytes.length;
    if (this.#aroundBytes <= AROUND_BYTES_MAX) this.#around.push(bytes);
    else this.failed = `wanted at most ${AROUND_BYTES_MAX} bytes around the paragraphs, but there are more`;
  }
}
