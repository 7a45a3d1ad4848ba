import fc from "fast-check";
import { parse } from "smol-toml";
import { expect, test } from "vitest";
import { type KeyPath, keyLines } from "./key-lines.ts";

const document = `# comment = 1
a = 1
"quoted key" = 'x' # not = this
[table] # here
b.c.d = """
[no.table]
e = 1""""
'lit.eral' = '''
no = 1
'''
list = [
  1, # one
  [2,
   3],
  { x = 1,
    y = [ "}]" ] },
]
[[many]]
k = {}
[[many]]
k = { p = 1, q.r = "\\"#" }
[many.below]
z = 2000-01-01 00:00:00
[table.other]
"\\u00e9\\U0001F600" = inf
`;

test.each<[KeyPath, number | undefined]>([
  [["a"], 2],
  [["quoted key"], 3],
  [["table"], 4],
  [["table", "b"], 5],
  [["table", "b", "c", "d"], 5],
  [["table", "e"], undefined],
  [["no"], undefined],
  [["table", "lit.eral"], 8],
  [["table", "list", 0], 12],
  [["table", "list", 1, 1], 14],
  [["table", "list", 2, "x"], 15],
  [["table", "list", 2, "y", 0], 16],
  [["many"], 18],
  [["many", 0, "k"], 19],
  [["many", 1], 20],
  [["many", 1, "k", "q", "r"], 21],
  [["many", 1, "below", "z"], 23],
  [["table", "other"], 24],
  [["table", "other", "é😀"], 25],
])("%j is on line %j", (path, line) => {
  expect(() => parse(document)).not.toThrow();
  expect(keyLines(document)(path)).toBe(line);
  expect(keyLines(document.replaceAll("\n", "\r\n"))(path)).toBe(line);
});

/** A value, and how many lines further it ends. */
const value = fc.oneof(
  fc.constantFrom(
    "1",
    "-0.5e3",
    "true",
    "1979-05-27T07:32:00Z",
    "nan",
    '"a#b = c"',
    "'\\'",
    '"\\\\"',
    "[]",
    "{}",
  ),
  fc.constantFrom(
    '"""\n[x]\n"""',
    "'''\na = 1'''",
    '"""\\\n  y"""""',
    "[ # c\n 1,\n\n [2, 'a]'],\n]",
    "{ q = [\n1] }",
  ),
);
const name = fc.constantFrom("a", "b-c", "'d e'", '"f\\"g"', "h.i", "1", "true");
const statement = fc.oneof(
  { weight: 3, arbitrary: fc.record({ key: name, value, comment: fc.constantFrom("", " # x = 1", "\t") }) },
  { weight: 1, arbitrary: fc.record({ header: name, array: fc.boolean() }) },
  { weight: 1, arbitrary: fc.constantFrom("", "# [a]", "  \t") },
);

test("agrees with the parser on which keys there are, in any order of statements", () => {
  fc.assert(
    fc.property(
      fc.array(statement, { maxLength: 12 }),
      fc.constantFrom("\n", "\r\n"),
      (statements, newline) => {
        const lines: string[] = [];
        for (const [index, each] of statements.entries()) {
          // A number in each name keeps the document free of duplicates.
          if (typeof each === "string") lines.push(each);
          else if ("header" in each)
            lines.push(each.array ? `[[s${index}.${each.header}]]` : `[s${index}.${each.header}]`);
          else lines.push(...`  k${index}.${each.key} = ${each.value}${each.comment}`.split("\n"));
        }
        const toml = lines.join(newline);
        const lineOf = keyLines(toml);
        const visit = (node: unknown, path: KeyPath): void => {
          if (typeof node !== "object" || node === null || node instanceof Date) return;
          for (const [key, child] of Array.isArray(node) ? node.entries() : Object.entries(node)) {
            const here = [...path, key];
            const line = lineOf(here);
            expect(line, JSON.stringify(here)).toBeTypeOf("number");
            // The numbered names of ours are on the very line that the scan says.
            if (/^[ks]\d+$/.test(String(key))) expect(lines[line! - 1]).toContain(`${key}.`);
            visit(child, here);
          }
        };
        visit(parse(toml), []);
      },
    ),
    { numRuns: 500 },
  );
});

test("ends on any text at all", () => {
  fc.assert(fc.property(fc.stringMatching(/^[[\]{}=,."'#\\ \na]{0,40}$/), (text) => void keyLines(text)));
});
