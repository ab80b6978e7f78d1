import assert from 'node:assert/strict';
import { test } from 'node:test';
import { exchangeFor } from '../../test/fixture/request-exchange.ts';
import { SILENT } from '../log.ts';
import { logRequest } from './access-log.ts';

function logged(
  exchange: Parameters<typeof logRequest>[1],
  nowMs: number,
): { details: object; message: string }[] {
  const lines: { details: object; message: string }[] = [];
  logRequest({ ...SILENT, info: (details, message) => lines.push({ details, message }) }, exchange, nowMs);
  return lines;
}

test('one line has what is known of a request, its time to the microsecond, and its attempts', () => {
  const exchange = exchangeFor('/a', [], { listener: 'outbound', method: 'PUT', startMs: 10 });
  Object.assign(exchange, {
    id: 'id-1',
    peer: 'shop/web',
    peerAddress: '10.0.0.9:1',
    route: 'shop/r',
    service: 'shop/orders',
    status: 200,
    requestBytes: 1,
    responseBytes: 2,
    mtls: true,
  });
  for (const [endpoint, result] of [
    ['10.0.0.1:80', 'connect-failed'],
    ['10.0.0.2:80', '200'],
  ] as const)
    exchange.attempts.push({ endpoint, startMs: 0, durationMs: 0, result, connectionReused: false });
  assert.deepEqual(logged(exchange, 11.2345678), [
    {
      message: 'request',
      details: {
        id: 'id-1',
        listener: 'outbound',
        peer: 'shop/web',
        peerAddress: '10.0.0.9:1',
        mtls: true,
        method: 'PUT',
        host: 'app',
        path: '/a',
        status: 200,
        reason: '',
        detail: '',
        service: 'shop/orders',
        route: 'shop/r',
        durationMs: 1.235,
        requestBytes: 1,
        responseBytes: 2,
        endpoints: ['10.0.0.1:80 connect-failed', '10.0.0.2:80 200'],
      },
    },
  ]);
});

test('neither the query nor a header is logged: they may hold secrets', () => {
  const exchange = exchangeFor('/reset?token=hunter2&x', [
    'Authorization: Bearer hunter2',
    'Cookie: hunter2',
  ]);
  assert.ok(!JSON.stringify(logged(exchange, 1)).includes('hunter2'));
  assert.ok(JSON.stringify(logged(exchange, 1)).includes('"/reset"'));
});
