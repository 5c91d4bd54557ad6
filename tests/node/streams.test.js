// @aws-sdk/client-kinesis version 3 on the built-in stream.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import {
  InvalidArgumentException,
  Kinesis,
  ResourceNotFoundException,
  paginateListStreams,
} from '@aws-sdk/client-kinesis';
import { NodeHttpHandler } from '@smithy/node-http-handler';

import { Developer, remove, replace } from './actors.js';
import { ROOT_KEY, startServer } from './server_process.js';

const STREAM = 'changes';
const SHARD = 'shardId-000000000000';

let server, developer, pool, kinesis;

before(async () => {
  server = await startServer();
  developer = new Developer(server);
  pool = await developer.pool();
  await developer.sync.setIdentityPoolConfiguration({
    IdentityPoolId: pool,
    CognitoStreams: { StreamName: STREAM, StreamingStatus: 'ENABLED' },
  });
  // Of itself this client speaks HTTP/2 only.
  const requestHandler = new NodeHttpHandler();
  kinesis = new Kinesis({ ...developer.options, credentials: ROOT_KEY, requestHandler });
});
after(async () => assert.equal(await server.stop(), 0));

/** Reads a stream to its end. */
async function read(iterator) {
  const events = [];
  for (;;) {
    const page = await kinesis.getRecords({ ShardIterator: iterator });
    for (const record of page.Records) {
      const event = JSON.parse(new TextDecoder().decode(record.Data));
      assert.equal(record.PartitionKey, event.identityId);
      events.push({ ...event, number: record.SequenceNumber });
    }
    if (page.MillisBehindLatest === 0) return { events, next: page.NextShardIterator };
    iterator = page.NextShardIterator;
  }
}

async function iterator(kind, more = {}) {
  const of = { StreamName: STREAM, ShardId: SHARD, ShardIteratorType: kind, ...more };
  return (await kinesis.getShardIterator(of)).ShardIterator;
}

test('a stream is found and described', async () => {
  const names = [];
  for await (const page of paginateListStreams({ client: kinesis }, {})) {
    names.push(...page.StreamNames);
  }
  assert.deepEqual(names, [STREAM]);
  const { StreamDescription: described } = await kinesis.describeStream({ StreamName: STREAM });
  assert.equal(described.StreamStatus, 'ACTIVE');
  assert.ok(described.StreamCreationTimestamp instanceof Date);
  const { Shards } = await kinesis.listShards({ StreamName: STREAM });
  assert.deepEqual(Shards, described.Shards);
  const summary = await kinesis.describeStreamSummary({ StreamARN: described.StreamARN });
  assert.equal(summary.StreamDescriptionSummary.OpenShardCount, 1);
});

test('changes come in order, from wherever they are asked for', async () => {
  const user = await developer.guest(pool);
  const dataset = user.dataset('game');
  const newest = await iterator('LATEST');
  await dataset.update([replace('höhe', 'ü ✓')]);
  await dataset.update([remove('höhe', 1)]);
  const { events, next } = await read(newest);
  const counts = (found) => found.map((event) => event.syncCount);
  assert.deepEqual(counts(events), [1, 2]);
  const [written] = events[0].kinesisSyncRecords;
  assert.equal(written.value, 'ü ✓');
  assert.equal(events[1].kinesisSyncRecords[0].op, 'remove');
  await dataset.update([replace('a', 'b')]);
  assert.deepEqual(counts((await read(next)).events), [3]);
  const StartingSequenceNumber = events[0].number;
  const at = await iterator('AT_SEQUENCE_NUMBER', { StartingSequenceNumber });
  assert.deepEqual(counts((await read(at)).events), [1, 2, 3]);
  const behind = await iterator('AFTER_SEQUENCE_NUMBER', { StartingSequenceNumber });
  assert.deepEqual(counts((await read(behind)).events), [2, 3]);
  const time = new Date(events[0].lastModifiedDate);
  const since = await iterator('AT_TIMESTAMP', { Timestamp: time });
  assert.deepEqual(counts((await read(since)).events), [1, 2, 3]);
  const { events: all } = await read(await iterator('TRIM_HORIZON'));
  const own = all.filter((event) => event.identityId === user.names.IdentityId);
  assert.deepEqual(counts(own), [1, 2, 3]);
});

test('errors have the classes of the SDK', async () => {
  const none = kinesis.describeStream({ StreamName: 'none' });
  await assert.rejects(none, ResourceNotFoundException);
  await assert.rejects(kinesis.getRecords({ ShardIterator: 'none' }), InvalidArgumentException);
});
