import type {
  PathMatchType,
  Route,
  RouteBackend,
  RouteMatch,
  RouteRule,
  ValueMatch,
} from '../../protocol/route.ts';
import { matchesExpression, routeExpression } from '../filters/expression.ts';
import { MAX_HOST } from './by-host.ts';

/** What routing looks at in a request. */
export interface RequestView {
  readonly method: string;
  /** Without query. */
  readonly path: string;
  /** Without `?`. */
  readonly query: string;
  /** Lower case, without port. */
  readonly host: string;
  header(lowerCaseName: string): string | undefined;
}

/** A rule of a route, ready to serve. */
export interface CompiledRule {
  /** `namespace/name`. */
  readonly route: string;
  readonly rule: number;
  /** In words, for explanations. */
  readonly why: string;
  readonly source: RouteRule;
  /** By weight, those included that cannot be used; undefined without a backend that has one. */
  pickBackend(): RouteBackend | undefined;
  /** What the data plane composed for this rule: kept here so that it is done once. */
  slot: unknown;
}

export interface RouteTable {
  match(view: RequestView): CompiledRule | undefined;
}

/** One match of one rule; all that decides precedence is in `rank`. */
interface Entry {
  readonly rule: CompiledRule;
  readonly match: RouteMatch;
  readonly expression: RegExp | undefined;
  readonly headers: readonly Test[];
  readonly query: readonly Test[];
  /** Nothing but the path is asked. */
  readonly pathOnly: boolean;
}

interface Test {
  readonly name: string;
  readonly exact: string | undefined;
  readonly expression: RegExp | undefined;
}

/** Entries for one host name, found by path. */
interface HostTable {
  readonly exact: Map<string, Entry[]>;
  readonly prefixes: Map<string, Entry[]>;
  /** Characters of the longest of them: what is longer in a path is not looked up, segment by segment. */
  longestPrefix: number;
  readonly grpcMethods: Map<string, Entry[]>;
  readonly expressions: Entry[];
}

/**
 * Compiles routes into tables. Precedence is the Gateway API's: the most specific host name, then exact
 * path, longest prefix, expression, the prefix that is every path; then method, number of headers, number of query parameters, and the
 * order of `routes` and of their rules. For a GRPCRoute it is service (the path or a prefix), gRPC method, number of
 * headers: a gRPC method alone comes before expressions. Throws nothing: an expression that
 * does not compile, or could take forever, matches nothing.
 */
export function compileRoutes(routes: readonly Route[], random: () => number = Math.random): RouteTable {
  const hosts = new Map<string, HostTable>();
  for (const route of routes) {
    for (const [index, rule] of route.rules.entries()) {
      const matches = rule.matches.length > 0 ? rule.matches : [{ headers: [], query: [] }];
      for (const match of matches) {
        const entry = compileEntry(route, index, rule, match, random);
        for (const host of route.hostnames.length > 0 ? route.hostnames : ['*']) addEntry(hosts, host, entry);
      }
    }
  }
  for (const table of hosts.values()) sortTable(table);
  return { match: (view) => matchHost(hosts, view) };
}

function compileEntry(
  route: Route,
  index: number,
  rule: RouteRule,
  match: RouteMatch,
  random: () => number,
): Entry {
  const path = match.path ?? { type: 'PathPrefix', value: '/' };
  const why = `${route.kind} ${route.name} rule ${index + 1}: ${describeMatch(match)}`;
  return {
    rule: {
      route: route.name,
      rule: index,
      why,
      source: rule,
      slot: undefined,
      pickBackend: weighted(rule, random),
    },
    match,
    expression: path.type === 'RegularExpression' ? routeExpression(path.value) : undefined,
    headers: match.headers.map(test),
    query: match.query.map(test),
    pathOnly: match.method === undefined && match.headers.length === 0 && match.query.length === 0,
  };
}

const PATH_WORDS: Readonly<Record<PathMatchType, string>> = {
  Exact: 'path',
  PathPrefix: 'path prefix',
  GrpcMethod: 'gRPC method',
  RegularExpression: 'path expression',
};

function describeMatch(match: RouteMatch): string {
  const parts: string[] = [];
  if (match.path !== undefined) parts.push(`${PATH_WORDS[match.path.type]} ${match.path.value}`);
  if (match.method !== undefined) parts.push(`method ${match.method}`);
  for (const { name, value } of match.headers) parts.push(`header ${name} ${value}`);
  for (const { name, value } of match.query) parts.push(`query ${name} ${value}`);
  return parts.length === 0 ? 'every request' : parts.join(', ');
}

function test(match: ValueMatch): Test {
  const exact = match.type === 'Exact';
  return {
    name: match.name,
    exact: exact ? match.value : undefined,
    expression: exact ? undefined : routeExpression(match.value),
  };
}

/** Chooses by weight without allocating. */
function weighted(rule: RouteRule, random: () => number): () => RouteBackend | undefined {
  const backends = rule.backends.filter(({ weight }) => weight > 0);
  const only = backends.length === 1 ? backends[0] : undefined;
  if (only !== undefined) return () => only;
  const total = backends.reduce((sum, { weight }) => sum + weight, 0);
  return () => {
    let left = random() * total;
    for (const backend of backends) {
      left -= backend.weight;
      if (left < 0) return backend;
    }
    return backends.at(-1);
  };
}

function addEntry(hosts: Map<string, HostTable>, host: string, entry: Entry): void {
  let table = hosts.get(host);
  if (table === undefined) {
    table = {
      exact: new Map(),
      prefixes: new Map(),
      longestPrefix: 0,
      grpcMethods: new Map(),
      expressions: [],
    };
    hosts.set(host, table);
  }
  const path = entry.match.path;
  if (path?.type === 'RegularExpression') table.expressions.push(entry);
  else if (path?.type === 'Exact') push(table.exact, path.value, entry);
  else if (path?.type === 'GrpcMethod') push(table.grpcMethods, path.value, entry);
  else addPrefix(table, (path?.value ?? '/').replace(/\/+$/, ''), entry);
}

function addPrefix(table: HostTable, prefix: string, entry: Entry): void {
  push(table.prefixes, prefix, entry);
  table.longestPrefix = Math.max(table.longestPrefix, prefix.length);
}

function push(map: Map<string, Entry[]>, key: string, entry: Entry): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [entry]);
  else list.push(entry);
}

function sortTable(table: HostTable): void {
  for (const list of table.exact.values()) list.sort(byPrecedence);
  for (const list of table.prefixes.values()) list.sort(byPrecedence);
  for (const list of table.grpcMethods.values()) list.sort(byPrecedence);
  table.expressions.sort(byPrecedence);
}

/** Array sort is stable, so what is equal here stays in the order of routes and rules. */
function byPrecedence(a: Entry, b: Entry): number {
  const method = Number(b.match.method !== undefined) - Number(a.match.method !== undefined);
  return method || b.headers.length - a.headers.length || b.query.length - a.query.length;
}

function matchHost(hosts: Map<string, HostTable>, view: RequestView): CompiledRule | undefined {
  if (hosts.size === 0) return undefined;
  const { host } = view;
  const own = hosts.get(host);
  const found = own === undefined ? undefined : matchPath(own, view);
  if (found !== undefined) return found;
  const labels = host.length <= MAX_HOST ? host.indexOf('.') : -1;
  for (let dot = labels; dot >= 0; dot = host.indexOf('.', dot + 1)) {
    const table = hosts.get(`*${host.slice(dot)}`);
    const below = table === undefined ? undefined : matchPath(table, view);
    if (below !== undefined) return below;
  }
  const all = hosts.get('*');
  return all === undefined ? undefined : matchPath(all, view);
}

function matchPath(table: HostTable, view: RequestView): CompiledRule | undefined {
  const { path } = view;
  const exact = table.exact.size === 0 ? undefined : first(table.exact.get(path), view);
  return (
    exact ??
    matchPrefix(table, view) ??
    matchGrpcMethod(table.grpcMethods, view) ??
    matchExpression(table.expressions, view) ??
    (path.startsWith('/') ? first(table.prefixes.get(''), view) : undefined)
  );
}

/** Prefixes match whole segments: longest first, without the one that is every path. */
function matchPrefix({ prefixes, longestPrefix }: HostTable, view: RequestView): CompiledRule | undefined {
  if (longestPrefix === 0) return undefined;
  const { path } = view;
  const start = path.length > longestPrefix ? path.lastIndexOf('/', longestPrefix) : path.length;
  for (let end = start; end > 0; end = path.lastIndexOf('/', end - 1)) {
    const found = first(prefixes.get(end === path.length ? path : path.slice(0, end)), view);
    if (found !== undefined) return found;
  }
  return undefined;
}

function matchGrpcMethod(methods: HostTable['grpcMethods'], view: RequestView): CompiledRule | undefined {
  if (methods.size === 0) return undefined;
  const slash = view.path.indexOf('/', 1);
  return slash < 0 ? undefined : first(methods.get(view.path.slice(slash + 1)), view);
}

function matchExpression(entries: readonly Entry[], view: RequestView): CompiledRule | undefined {
  const { path } = view;
  for (const entry of entries) {
    if (matchesExpression(entry.expression, path) && fits(entry, view)) return entry.rule;
  }
  return undefined;
}

function first(entries: readonly Entry[] | undefined, view: RequestView): CompiledRule | undefined {
  if (entries === undefined) return undefined;
  for (const entry of entries) if (entry.pathOnly || fits(entry, view)) return entry.rule;
  return undefined;
}

function fits(entry: Entry, view: RequestView): boolean {
  if (entry.match.method !== undefined && entry.match.method !== view.method) return false;
  for (const header of entry.headers) if (!passes(header, view.header(header.name))) return false;
  if (entry.query.length === 0) return true;
  const query = parametersOf(view.query);
  return entry.query.every((parameter) => passes(parameter, query.get(parameter.name) ?? undefined));
}

let lastQuery = '';
let lastParameters = new URLSearchParams();

/** The last answer is kept: one request may be held against many rules. */
function parametersOf(query: string): URLSearchParams {
  if (query !== lastQuery) {
    lastQuery = query;
    lastParameters = new URLSearchParams(query);
  }
  return lastParameters;
}

function passes(one: Test, value: string | undefined): boolean {
  if (value === undefined) return false;
  if (one.exact !== undefined) return value === one.exact;
  return matchesExpression(one.expression, value);
}
