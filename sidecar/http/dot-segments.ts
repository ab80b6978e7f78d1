/** Whether a path could have a segment that is one or two dots, plain or percent-encoded: cheap, and seldom true. */
function mayHaveDots(path: string): boolean {
  return path.includes('/.') || path.includes('/%2');
}

/**
 * A path without its dot segments (RFC 3986 section 5.2.4), percent-encoded ones too, since many servers take
 * `/open/%2e%2e/admin` for `/admin`. Nothing else changes.
 */
export function withoutDotSegments(path: string): string {
  if (!mayHaveDots(path)) return path;
  const segments = path.slice(1).split('/');
  const kept: string[] = [];
  for (const [index, segment] of segments.entries()) {
    const dots = dotsOf(segment);
    if (dots === 2) kept.pop();
    if (dots === 0) kept.push(segment);
    else if (index === segments.length - 1) kept.push('');
  }
  return `/${kept.join('/')}`;
}

/** 1 or 2 of a segment that is nothing but so many dots, else 0. */
function dotsOf(segment: string): 0 | 1 | 2 {
  if (segment.length > 6) return 0;
  const decoded = segment.replace(/%2e/gi, '.');
  return decoded === '.' ? 1 : decoded === '..' ? 2 : 0;
}
