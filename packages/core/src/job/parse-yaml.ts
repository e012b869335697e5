import { Composer, Lexer, LineCounter, Parser, visit, type CST, type Document } from "yaml";
import { maxJsonDepth } from "./json-problem.ts";

/**
 * Words, line ends, indentations and the like that one text may have. Each costs a microsecond or two; ordinary
 * documents of a mebibyte have up to 380,000.
 */
const maxLexemes = 400_000;
/** Times the values behind the aliases of one anchor are expanded. */
const maxAliasCount = 100;
/** A collection takes up to two places of the parser's stack. */
const maxStack = 2 * maxJsonDepth + 4;

/**
 * The value of one YAML 1.2 document from an untrusted source: JSON values only, no tags of any kind, no directives, no
 * key twice, every key a string. Takes time in proportion to the text, whatever is in it.
 *
 * @throws {Error} that says what is wrong, and where
 */
export function parseYaml(text: string): unknown {
  const lines = new LineCounter();
  const document = compose(text, lines);
  const [problem] = [...document.errors, ...document.warnings];
  if (problem !== undefined) throw placed(problem.message, problem.pos[0], lines);
  assertUniqueKeys(document, lines);
  return document.toJS({ maxAliasCount });
}

function compose(text: string, lines: LineCounter): Document.Parsed {
  const composer = new Composer({
    schema: "core",
    customTags: [],
    resolveKnownTags: false,
    stringKeys: true,
    // The library compares every key with every other; see assertUniqueKeys.
    uniqueKeys: false,
    logLevel: "error",
  });
  const [document, second] = composer.compose(tokens(text, lines), true, text.length);
  if (document === undefined) throw new Error("it is empty");
  if (second !== undefined) throw placed("it is more than one document", second.range[0], lines);
  return document;
}

function* tokens(text: string, lines: LineCounter): Generator<CST.Token> {
  lines.addNewLine(0);
  const parser = new Parser(lines.addNewLine);
  let lexemes = 0;
  for (const lexeme of new Lexer().lex(text)) {
    lexemes += 1;
    if (lexemes > maxLexemes) throw new Error(`it has more than ${maxLexemes} words and signs`);
    for (const token of parser.next(lexeme)) yield checked(token, lines);
    if (parser.stack.length > maxStack) {
      throw placed(`it is nested deeper than ${maxJsonDepth} levels`, parser.offset, lines);
    }
  }
  for (const token of parser.end()) yield checked(token, lines);
}

/** A directive could switch to YAML 1.1 with its other scalars; the first error is enough. */
function checked(token: CST.Token, lines: LineCounter): CST.Token {
  if (token.type === "error") throw placed(token.message, token.offset, lines);
  if (token.type === "directive") {
    throw placed("directives are not supported", token.offset, lines);
  }
  return token;
}

function assertUniqueKeys(document: Document.Parsed, lines: LineCounter): void {
  visit(document, {
    Map(_key, map) {
      const keys = new Set<unknown>();
      for (const { key } of map.items) {
        const name = typeof key === "object" && key !== null && "value" in key ? key.value : key;
        if (keys.has(name)) {
          throw placed(`the key ${String(name).slice(0, 100)} is there twice`, at(key), lines);
        }
        keys.add(name);
      }
    },
  });
}

function at(node: unknown): number {
  const hasRange = typeof node === "object" && node !== null && "range" in node;
  return hasRange && Array.isArray(node.range) ? Number(node.range[0]) : 0;
}

function placed(message: string, offset: number, lines: LineCounter): Error {
  const { line, col } = lines.linePos(offset);
  return new Error(`${message} at line ${line}, column ${col}`);
}
