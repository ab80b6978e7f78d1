import assert from 'node:assert/strict';
import { test } from 'node:test';
import { evaluateTemplate } from './template-evaluator.ts';
import { parseTemplate } from './template-parser.ts';

function evaluate(source: string, dot: unknown = {}): string {
  const template = parseTemplate(source, 'a.yaml');
  return evaluateTemplate(template, dot, template.defined, 'a.yaml');
}

test('text goes through as it is', () => {
  assert.equal(evaluate('a: { b: [1] }\n# "quoted\n'), 'a: { b: [1] }\n# "quoted\n');
});

test('markers take the white space beside them away', () => {
  assert.equal(evaluate('a\n  {{- "b" -}}\n  c'), 'abc');
  assert.equal(evaluate('a {{ "b" }} c'), 'a b c');
  assert.equal(evaluate('a {{- /* "}} */ -}} b'), 'ab');
});

test('a path leads to a value; a missing one is empty, and below it is an error with its line', () => {
  assert.equal(evaluate('{{ .a.b }}-{{ .a.c }}', { a: { b: 1 } }), '1-');
  assert.throws(() => evaluate('\n{{ .x.y }}', {}), /^Error: a\.yaml:2: nothing has a field y here$/);
});

test('what every object of JavaScript has is no field of a map', () => {
  assert.equal(evaluate('{{ .constructor }}{{ .__proto__ }}', {}), '');
});

test('if takes what is empty for false, as Go does', () => {
  const source = '{{ if .a }}yes{{ else if .b }}else{{ else }}no{{ end }}';
  for (const a of [undefined, null, false, 0, '', [], {}]) assert.equal(evaluate(source, { a }), 'no');
  for (const a of [true, 1, 'x', [0], { x: 0 }]) assert.equal(evaluate(source, { a }), 'yes');
  assert.equal(evaluate(source, { b: 1 }), 'else');
});

test('with and range move the dot; $ stays where it was', () => {
  assert.equal(evaluate('{{ with .a }}{{ .b }}{{ $.c }}{{ end }}', { a: { b: 1 }, c: 2 }), '12');
  assert.equal(
    evaluate('{{ range .l }}{{ . }}{{ $.c }}{{ else }}none{{ end }}', { l: [1, 2], c: 'x' }),
    '1x2x',
  );
  assert.equal(evaluate('{{ range .l }}{{ . }}{{ else }}none{{ end }}', { l: [] }), 'none');
  assert.throws(() => evaluate('{{ range .m }}{{ end }}', { m: { a: 1 } }), /range is over a list only/);
});

test('a variable holds in its block', () => {
  assert.equal(evaluate('{{ $a := .x }}{{ if true }}{{ $a := 2 }}{{ $a }}{{ end }}{{ $a }}', { x: 1 }), '21');
  assert.throws(() => evaluate('{{ $a }}'), /\$a is not set/);
});

test('a pipeline hands on its value as the last argument', () => {
  assert.equal(evaluate('{{ .a | default "b" | quote }}', { a: '' }), '"b"');
  assert.equal(evaluate('{{ if and (eq .a 1) (not .b) (ne .a 2) (or .b .a) }}yes{{ end }}', { a: 1 }), 'yes');
  assert.equal(evaluate('{{ .has "x" }}', { has: (name: string) => name === 'x' }), 'true');
});

test('a named template has its own dot and root', () => {
  const source = '{{ define "t" }}{{ .n }}{{ $.n }}{{ end }}{{ include "t" .inner }}';
  assert.equal(evaluate(source, { inner: { n: 1 }, n: 2 }), '11');
  assert.throws(() => evaluate('{{ include "t" . }}'), /no template is named t/);
});

test('toYaml writes texts so that any reader of YAML takes them for texts', () => {
  const values = { on: 'on', number: '1e3', octal: '0o7', empty: '', list: [], lines: 'a\nb: c\n' };
  const yaml = evaluate('{{ toYaml . | nindent 2 }}', values);
  assert.match(yaml, /^\n {2}empty: ""\n/);
  for (const quoted of ['"on": "on"', 'number: "1e3"', 'list: \\[\\]'])
    assert.match(yaml, new RegExp(quoted));
});

test('what is not understood is refused with file and line, not rendered as something else', () => {
  const refused: readonly (readonly [string, RegExp])[] = [
    ['\n\n{{ lookup "v1" "Secret" }}', /^Error: a\.yaml:3: the function lookup is not known here/],
    ['{{ .a.b := 1 }}', /a\.yaml:1: .* is not understood/],
    ['{{ (eq 1 1 }}', /a parenthesis is not closed/],
    ['{{ eq 1 1) }}', /a parenthesis is not closed, or not opened/],
    ['{{ if true }}', /the end of if is missing/],
    ['{{ define "a" }}', /its end is missing/],
    ['{{ end }}', /"end" belongs to nothing/],
    ['{{ if true }}{{ else with .x }}{{ end }}', /"else with .x" is not understood/],
    ['{{ "a" | }}', /there is nothing to do/],
    ['{{ a.b }}', /a\.b has no beginning/],
    ['{{ . }}', /a list or a map is printed; write toYaml/],
    ['{{ "a" "b" }}', /a value is called like a function/],
    ["{{ 'a' }}", /is not understood/],
    ['{{ fail "write so" }}', /a\.yaml:1: write so/],
  ];
  for (const [source, words] of refused) assert.throws(() => evaluate(source), words, source);
});
