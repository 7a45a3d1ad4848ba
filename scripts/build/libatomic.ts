/**
 * Frees an x86-64 ELF executable from libatomic.so.1. Node needs that library for one function, and a fresh Linux does
 * not have it (Debian's and Ubuntu's small images, for two): the executable would not even start there. So the
 * function, eight instructions, is written into the unused end of the code's last page, and the library is taken off
 * the list of what is loaded. Everything else the executable needs is part of every glibc system.
 */

const LIBRARY = "libatomic.so.1";

/**
 * bool __atomic_compare_exchange(size_t size, void *at, void *expected, void *desired, int, int)
 * for a size of 8, the only one that V8 uses; any other stops the program instead of doing something wrong. The
 * processor's instruction is a full barrier, so the two memory orders need no attention.
 */
const FUNCTION = Buffer.from(
  [
    "f30f1efa", //   endbr64
    "4883ff08", //   cmp    rdi, 8
    "7516", //       jne    other
    "488b02", //     mov    rax, [rdx]
    "488b09", //     mov    rcx, [rcx]
    "f0480fb10e", // lock cmpxchg [rsi], rcx
    "7503", //       jne    differs
    "b001", //       mov    al, 1
    "c3", //         ret
    "488902", //     differs: mov [rdx], rax
    "31c0", //       xor    eax, eax
    "c3", //         ret
    "0f0b", //       other: ud2
  ].join(""),
  "hex",
);
const NAME = "__atomic_compare_exchange";

const PT_LOAD = 1;
const PT_DYNAMIC = 2;
const EXECUTABLE = 1;
const DT = {
  NULL: 0,
  NEEDED: 1,
  PLTRELSZ: 2,
  STRTAB: 5,
  SYMTAB: 6,
  RELA: 7,
  RELASZ: 8,
  JMPREL: 23,
  FLAGS: 30,
  VERSYM: 0x6ffffff0,
  VERNEED: 0x6ffffffe,
  VERNEEDNUM: 0x6fffffff,
};
const DF_BIND_NOW = 8n;
const R_X86_64_RELATIVE = 8n;

/**
 * Changes the executable in place.
 * @returns false when there was nothing to do: it does not need the library
 * @throws Error when it needs something of the library that is not known here, or is laid out in an unknown way.
 */
export function removeLibatomic(elf: Buffer): boolean {
  if (elf.toString("latin1", 0, 6) !== "\x7fELF\x02\x01" || elf.readUInt16LE(18) !== 62) {
    throw new Error("not an x86-64 ELF file");
  }
  const read = (at: number): number => Number(elf.readBigUInt64LE(at));
  const segments = Array.from({ length: elf.readUInt16LE(56) }, (_, index) => {
    const at = read(32) + index * elf.readUInt16LE(54);
    const [type, flags] = [elf.readUInt32LE(at), elf.readUInt32LE(at + 4)];
    return { at, type, flags, offset: read(at + 8), address: read(at + 16), size: read(at + 32) };
  });
  /** The place in the file of an address in memory. */
  const place = (address: number): number => {
    const found = segments.find(
      (segment) =>
        segment.type === PT_LOAD && address >= segment.address && address < segment.address + segment.size,
    );
    if (!found) throw new Error(`no segment holds the address ${address.toString(16)}`);
    return address - found.address + found.offset;
  };

  const dynamicSegment = segments.find(({ type }) => type === PT_DYNAMIC);
  const code = segments.find(({ type, flags }) => type === PT_LOAD && (flags & EXECUTABLE) !== 0);
  if (!dynamicSegment || !code) throw new Error("it has no dynamic section or no code");
  const dynamic: { at: number; tag: number; value: number }[] = [];
  for (let at = dynamicSegment.offset; read(at) !== DT.NULL; at += 16) {
    dynamic.push({ at, tag: read(at), value: read(at + 8) });
  }
  const entry = (tag: number) => {
    const found = dynamic.find((candidate) => candidate.tag === tag);
    if (!found) throw new Error(`its dynamic section has no entry ${tag}`);
    return found;
  };
  const strings = place(entry(DT.STRTAB).value);
  const text = (offset: number): string =>
    elf.toString("latin1", strings + offset, elf.indexOf(0, strings + offset));
  const needed = dynamic.find(({ tag, value }) => tag === DT.NEEDED && text(value) === LIBRARY);
  if (!needed) return false;
  // A call that is bound late would meet a kind of relocation that the loader does not know there.
  if (!(BigInt(entry(DT.FLAGS).value) & DF_BIND_NOW)) throw new Error("its calls are not bound at its start");

  // The function, into the zeros between the end of the code and the end of its page.
  const functionAt = (code.offset + code.size + 15) & ~15;
  const end = functionAt + FUNCTION.length;
  if (end > Math.ceil((code.offset + code.size) / 4096) * 4096) throw new Error("its code leaves no room");
  if (elf.subarray(code.offset + code.size, end).some((byte) => byte !== 0))
    throw new Error("that room is in use");
  FUNCTION.copy(elf, functionAt);
  for (const size of [32, 40]) elf.writeBigUInt64LE(BigInt(end - code.offset), code.at + size);

  // The versions of symbols that come from the library: the record of it leaves the list.
  const versions = new Set<number>();
  const firstVersions = entry(DT.VERNEED);
  const versionsCount = entry(DT.VERNEEDNUM);
  let previous: number | undefined;
  for (let at = place(firstVersions.value), index = 0; index < versionsCount.value; index++) {
    const next = elf.readUInt32LE(at + 12);
    if (text(elf.readUInt32LE(at + 4)) === LIBRARY) {
      for (let version = at + elf.readUInt32LE(at + 8), left = elf.readUInt16LE(at + 2); left > 0; left--) {
        versions.add(elf.readUInt16LE(version + 6));
        version += elf.readUInt32LE(version + 12);
      }
      if (previous === undefined)
        elf.writeBigUInt64LE(BigInt(firstVersions.value + next), firstVersions.at + 8);
      else elf.writeUInt32LE(next === 0 ? 0 : at + next - previous, previous + 12);
      elf.writeBigUInt64LE(BigInt(versionsCount.value - 1), versionsCount.at + 8);
    } else previous = at;
    at += next;
  }

  // Calls go through a slot that the loader filled with the library's function. Now it fills in a fixed address.
  const symbols = place(entry(DT.SYMTAB).value);
  const versionOf = place(entry(DT.VERSYM).value);
  for (const [table, length] of [
    [DT.RELA, DT.RELASZ],
    [DT.JMPREL, DT.PLTRELSZ],
  ] as const) {
    const start = place(entry(table).value);
    for (let at = start; at < start + entry(length).value; at += 24) {
      const symbol = elf.readUInt32LE(at + 12);
      if (!versions.has(elf.readUInt16LE(versionOf + symbol * 2))) continue;
      const name = text(elf.readUInt32LE(symbols + symbol * 24));
      if (name !== NAME) throw new Error(`it needs ${name} of ${LIBRARY}`);
      elf.writeBigUInt64LE(R_X86_64_RELATIVE, at + 8);
      elf.writeBigUInt64LE(BigInt(functionAt - code.offset + code.address), at + 16);
    }
  }

  // The library leaves the list of what is loaded: what follows moves up.
  const last = dynamic.at(-1)!.at + 16;
  elf.copyWithin(needed.at, needed.at + 16, last + 16);
  return true;
}
