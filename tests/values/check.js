// Decodes answers as a JavaScript client would and compares them with values that JavaScript computes itself.
//
// Reads a JSON list of vectors (see vectors.json), each with the `body` of its answer as text; prints each difference.
'use strict';

const { isDeepStrictEqual, inspect } = require('util');
const { readFileSync } = require('fs');

const decimal = (unscaled, scale) => ({ unscaled, scale });
const nanos = (millis) => BigInt(millis) * 1000000n;

// Days since 1970; Date.UTC takes the years 0 to 99 for others.
function day(year, month, date) {
  return new Date(0).setUTCFullYear(year, month, date) / 86400000;
}

// The parts of `a, b<c, d>` at its outermost commas.
function split(text) {
  const parts = [''];
  let depth = 0;
  for (const letter of text) {
    depth += '<('.includes(letter) - '>)'.includes(letter);
    if (letter === ',' && depth === 0) parts.push('');
    else parts[parts.length - 1] += letter;
  }
  return parts.map((part) => part.trim());
}

function check(holds, value) {
  if (!holds) throw new Error(`unexpected ${inspect(value)}`);
}

// Date knows milliseconds: what is finer is read beside it.
function moment(text) {
  const [, whole, fraction = ''] = /^([^.Z]+)(?:\.(\d+))?Z?$/.exec(text);
  const seconds = new Date(`${whole}Z`).getTime();
  check(!Number.isNaN(seconds), text);
  return nanos(seconds) + BigInt(fraction.padEnd(9, '0'));
}

function decode(value, kind, asText) {
  if (value === null) return null;
  const open = kind.indexOf('<');
  const name = open < 0 ? kind : kind.slice(0, open);
  const inner = kind.slice(open + 1, -1);
  const real = { NaN: NaN, Infinity: Infinity, '-Infinity': -Infinity };
  if (name === 'ARRAY') return value.map((item) => decode(item, inner, asText));
  if (name === 'STRUCT') {
    const fields = split(inner).map((field) => /^(.*?): (.*)$/.exec(field).slice(1));
    return Object.fromEntries(fields.map(([key, type]) => [key, decode(value[key], type, asText)]));
  }
  if (name === 'MAP') {
    const [keys, values] = split(inner);
    const entries = keys === 'STRING' ? Object.entries(value) : value.map((entry) => [entry.key, entry.value]);
    return new Map(entries.map(([key, item]) => [decode(key, keys, asText), decode(item, values, asText)]));
  }
  if (name === 'BIGINT') {
    check(asText ? typeof value === 'string' : Number.isSafeInteger(value), value);
    return BigInt(value);
  }
  if (name === 'FLOAT' || name === 'DOUBLE') {
    check(typeof value === 'number' || value in real, value);
    const number = typeof value === 'number' ? value : real[value];
    return name === 'FLOAT' ? Math.fround(number) : number;
  }
  if (name.startsWith('DECIMAL')) {
    const [, , scale] = /^DECIMAL\((\d+),(-?\d+)\)$/.exec(name);
    const [, , fraction = ''] = /^-?(\d+)(?:\.(\d+))?$/.exec(value);
    check(fraction.length === Number(scale), value);
    return decimal(BigInt(value.replace('.', '')), Number(scale));
  }
  if (name === 'BINARY') return Buffer.from(value, 'base64');
  if (name === 'DATE') return new Date(`${value}T00:00:00Z`).getTime() / 86400000;
  if (name === 'TIMESTAMP' || name === 'TIMESTAMP_NTZ') {
    check(value.endsWith('Z') === (name === 'TIMESTAMP'), value);
    return moment(value);
  }
  return value;
}

let wrong = 0;
for (const vector of JSON.parse(readFileSync(process.argv[2], 'utf-8'))) {
  if (!('javascript' in vector)) continue;
  const body = JSON.parse(vector.body);
  const [column] = body.columns;
  const expected = eval(`(${vector.javascript})`);
  const found = decode(body.result[0][0], column.type, column.encoding === 'string');
  if (!isDeepStrictEqual(found, expected)) {
    wrong += 1;
    console.log(`${vector.sql}: ${inspect(found)}, but JavaScript computes ${inspect(expected)}`);
  }
}
process.exit(wrong > 0 ? 1 : 0);
