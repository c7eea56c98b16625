import { expect, test } from 'vitest';
import { createReader } from './client.ts';

const json = 'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nContent-Length: 11\r\n\r\n{"all":"x"}';
const stream = 'HTTP/1.1 201 Created\r\ntransfer-encoding: chunked\r\n\r\n6\r\ndata: \r\n3\r\n1\n\n\r\n0\r\n\r\n';
const empty = 'HTTP/1.1 204 No Content\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n';

test.each([
  [json, 200],
  [stream, 201],
  [empty, 204],
])('however an answer is cut, its status is told with its last byte: %j', (answer, status) => {
  const bytes = Buffer.from(answer);
  for (let size = 1; size <= bytes.length; size += 1) {
    const pieces = Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) => bytes.subarray(i * size, (i + 1) * size));
    const told = pieces.map(createReader());
    expect(told.at(-1)).toBe(status);
    expect(told.slice(0, -1).every((one) => one === null)).toBe(true);
  }
});
