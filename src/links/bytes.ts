/** The binary alphabet of the links: unsigned big-endian integers, and text and bytes with their length in front. */

/** The largest number that travels: 48 bits. */
export const MAX_NUMBER = 2 ** 48 - 1;

/** A buffer begins with room for a bit more than the last one held, within bounds: growing it means copying it. */
const MIN_BYTES = 1024;
const MAX_FIRST_BYTES = 64 * 1024;
const NOTHING = Buffer.alloc(0);

/** Writes into a buffer that grows. What was written stays valid: a buffer is never written to again after `take`. */
export class Writer {
  #length = 0;
  #buffer = NOTHING;
  #firstBytes = MIN_BYTES;

  /** How many bytes were written. */
  get length(): number {
    return this.#length;
  }

  /** One byte. */
  byte(value: number): void {
    this.#reserve(1);
    this.#buffer[this.#length++] = value;
  }

  /** A number of at most 48 bits. */
  number(value: number): void {
    this.#reserve(6);
    this.#length = this.#buffer.writeUIntBE(value, this.#length, 6);
  }

  text(value: string): void {
    this.#reserve(4 + value.length * 3);
    const written = this.#buffer.write(value, this.#length + 4);
    this.#buffer.writeUInt32BE(written, this.#length);
    this.#length += 4 + written;
  }

  bytes(value: Uint8Array): void {
    this.#reserve(4 + value.length);
    this.#buffer.writeUInt32BE(value.length, this.#length);
    this.#buffer.set(value, this.#length + 4);
    this.#length += 4 + value.length;
  }

  /** Leaves room for a length, to be filled in by `endBlock` with the number of bytes written since. */
  beginBlock(): number {
    this.#reserve(4);
    this.#length += 4;
    return this.#length;
  }

  endBlock(begin: number): void {
    this.#buffer.writeUInt32BE(this.#length - begin, begin - 4);
  }

  /** Takes back what was written since `length` was this. */
  rewind(length: number): void {
    this.#length = length;
  }

  /** What was written. The next writing begins a new buffer. */
  take(): Buffer {
    const written = this.#buffer.subarray(0, this.#length);
    this.#firstBytes = Math.min(Math.max(MIN_BYTES, Math.ceil(this.#length * 1.125)), MAX_FIRST_BYTES);
    this.#buffer = NOTHING;
    this.#length = 0;
    return written;
  }

  #reserve(bytes: number): void {
    if (this.#length + bytes <= this.#buffer.length) return;
    const larger = Buffer.allocUnsafe(
      Math.max(this.#firstBytes, this.#buffer.length * 2, this.#length + bytes),
    );
    this.#buffer.copy(larger, 0, 0, this.#length);
    this.#buffer = larger;
  }
}

/**
 * Reads what somebody else wrote. Reading past the end gives zeros and empty values and sets `failed`: whoever reads
 * asks once at the end instead of after every field.
 */
export class Reader {
  failed = false;
  readonly #buffer: Buffer;
  #at = 0;

  constructor(buffer: Buffer) {
    this.#buffer = buffer;
  }

  get isAtEnd(): boolean {
    return this.#at === this.#buffer.length;
  }

  byte(): number {
    return this.#has(1) ? this.#buffer[this.#at++]! : 0;
  }

  number(): number {
    if (!this.#has(6)) return 0;
    this.#at += 6;
    return this.#buffer.readUIntBE(this.#at - 6, 6);
  }

  text(): string {
    const length = this.#length();
    this.#at += length;
    return this.#buffer.toString("utf8", this.#at - length, this.#at);
  }

  /** A view: it keeps the whole buffer alive for as long as it lives. */
  bytes(): Buffer {
    const length = this.#length();
    this.#at += length;
    return this.#buffer.subarray(this.#at - length, this.#at);
  }

  #length(): number {
    if (!this.#has(4)) return 0;
    this.#at += 4;
    const length = this.#buffer.readUInt32BE(this.#at - 4);
    return this.#has(length) ? length : 0;
  }

  #has(bytes: number): boolean {
    if (this.failed || this.#at + bytes > this.#buffer.length) {
      this.failed = true;
      return false;
    }
    return true;
  }
}
