// The sink of Kinesis against kinesalite, which has the real one's limits: everything arrives, in
// order for each identity, though the server is killed and the sink comes and goes.

import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { after, before, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';

import AWS from 'aws-sdk';
import kinesalite from 'kinesalite';

import { Developer, replace } from './actors.js';
import { REGION, ROOT_KEY, startServer } from './server_process.js';

const STREAM = 'changes';
const WRITERS = 8;
/** Nothing takes nearly so long; it only ends what hangs. */
const HANGS_MS = 120_000;

let isDown = false;
let front, kinesis, config;

before(async () => {
  const inner = kinesalite({ createStreamMs: 0, shardLimit: 10 });
  front = createServer((request, response) => {
    if (isDown) request.socket.destroy();
    else inner.emit('request', request, response);
  });
  await new Promise((resolve) => front.listen(0, '127.0.0.1', resolve));
  const endpoint = `http://127.0.0.1:${front.address().port}`;
  config = `[streams.kinesis]
type = "kinesis"
endpoint_url = "${endpoint}"
region = "${REGION}"
access_key_id = "AKIDSINK"
secret_access_key = "secret"
stream_name = "${STREAM}"
`;
  kinesis = new AWS.Kinesis({ endpoint, region: REGION, credentials: ROOT_KEY, maxRetries: 0 });
  await kinesis.createStream({ StreamName: STREAM, ShardCount: 3 }).promise();
  await until('the stream is active', async () => {
    const { StreamDescription } = await kinesis.describeStream({ StreamName: STREAM }).promise();
    return StreamDescription.StreamStatus === 'ACTIVE';
  });
});
after(() => front.close());

async function until(what, look) {
  const end = Date.now() + HANGS_MS;
  for (;;) {
    const found = await look();
    if (found) return found;
    assert.ok(Date.now() < end, `waited in vain: ${what}`);
    await pause(100);
  }
}

/** All records of the stream, those of a shard in order. */
async function records() {
  const { StreamDescription } = await kinesis.describeStream({ StreamName: STREAM }).promise();
  const found = [];
  for (const { ShardId } of StreamDescription.Shards) {
    const start = { StreamName: STREAM, ShardId, ShardIteratorType: 'TRIM_HORIZON' };
    let { ShardIterator } = await kinesis.getShardIterator(start).promise();
    for (;;) {
      const page = await kinesis.getRecords({ ShardIterator }).promise();
      if (page.Records.length === 0) break;
      found.push(...page.Records);
      ShardIterator = page.NextShardIterator;
    }
  }
  return found;
}

/** The datasets by identity; repeats are dropped, and every count is one above the last. */
function rebuilt(found) {
  const [seen, counts, datasets] = [new Set(), {}, {}];
  for (const { Data, PartitionKey } of found) {
    const event = JSON.parse(Data.toString());
    if (seen.has(event.eventId)) continue;
    seen.add(event.eventId);
    assert.equal(PartitionKey, event.identityId);
    assert.equal(event.syncCount, (counts[event.identityId] ?? 0) + 1);
    counts[event.identityId] = event.syncCount;
    const records = (datasets[event.identityId] ??= {});
    for (const record of event.kinesisSyncRecords) records[record.key] = record.value;
  }
  return datasets;
}

async function enable(developer, pool) {
  await developer.sync.setIdentityPoolConfiguration({
    IdentityPoolId: pool,
    CognitoStreams: { StreamName: 'kinesis', StreamingStatus: 'ENABLED' },
  });
}

test('every change arrives over kills and outages', async () => {
  let server = await startServer(config);
  let developer = new Developer(server);
  const pool = await developer.pool();
  let guests = await Promise.all(Array.from({ length: WRITERS }, () => developer.guest(pool)));
  await enable(developer, pool);
  for (let round = 0; round < 4; round += 1) {
    isDown = round % 2 === 1;
    const enough = 10;
    let written = 0;
    const write = async (guest) => {
      for (let turn = 0; turn < 40; turn += 1) {
        const game = guest.dataset('game');
        const { Records } = await game.list();
        const count = Records[0]?.SyncCount ?? 0;
        await game.update([replace('level', `${round}-${turn}`, count)]);
        written += 1;
      }
    };
    // A server that is killed breaks their connections.
    const writers = Promise.allSettled(guests.map(write));
    await until('writers get on', async () => written > enough * WRITERS);
    await server.kill();
    const ended = await writers;
    assert.ok(ended.some(({ status }) => status === 'rejected'), 'it was killed on the way');
    server = await startServer(config, server.directory);
    developer = new Developer(server);
    guests = guests.map((guest) => developer.again(guest));
  }
  isDown = false;
  const expected = {};
  for (const guest of guests) {
    expected[guest.names.IdentityId] = await guest.dataset('game').values();
  }
  await until('everything arrives', async () => {
    try {
      assert.deepEqual(rebuilt(await records()), expected);
      return true;
    } catch (error) {
      if (error.actual === undefined || typeof error.actual !== 'object') throw error;
      return false;
    }
  });
  assert.equal(await server.stop(), 0);
});

test('what is larger than a record has a link to its records', async () => {
  const server = await startServer(config);
  const developer = new Developer(server);
  const pool = await developer.pool();
  const guest = await developer.guest(pool);
  await enable(developer, pool);
  // Every character is six bytes in JSON.
  await guest.dataset('large').update([replace('k', '\u0001'.repeat(200_000))]);
  const event = await until('it arrives', async () => {
    const events = (await records()).map(({ Data }) => JSON.parse(Data.toString()));
    return events.find(({ identityId }) => identityId === guest.names.IdentityId);
  });
  assert.equal(event.payloadType, 'S3Url');
  assert.equal(event.kinesisSyncRecords, undefined);
  assert.ok(event.kinesisSyncRecordsURL.startsWith(server.url), event.kinesisSyncRecordsURL);
  assert.equal(await server.stop(), 0);
});
