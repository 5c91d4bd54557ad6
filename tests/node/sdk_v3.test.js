// @aws-sdk version 3: signing in, the five operations on data, the others, and errors by class.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { NotAuthorizedException as IdentityNotAuthorized } from '@aws-sdk/client-cognito-identity';
import {
  CognitoSyncServiceException,
  InvalidConfigurationException,
  InvalidParameterException,
  LimitExceededException,
  NotAuthorizedException,
  ResourceConflictException,
  ResourceNotFoundException,
} from '@aws-sdk/client-cognito-sync';

import { Developer, remove, replace } from './actors.js';
import { REGION, ROOT_KEY, startServer } from './server_process.js';

const ROLE = 'arn:aws:iam::000000000000:role/sync';
const FUNCTION = 'arn:aws:lambda:us-east-1:000000000000:function:merge';
const APPLICATION = 'arn:aws:sns:us-east-1:000000000000:app/GCM/app';

let server, developer, pool;

before(async () => {
  server = await startServer('[limits]\nrecords_per_dataset = 40\n');
  developer = new Developer(server);
  pool = await developer.pool();
});
after(async () => assert.equal(await server.stop(), 0));

/** Expects an error of this class, status and text, and that the client blames itself. */
async function refused(promise, kind, status, message) {
  const error = await promise.then(() => assert.fail('nothing was refused'), (found) => found);
  assert.ok(error instanceof kind, `${error.name}: ${error.message}`);
  assert.equal(error.$metadata.httpStatusCode, status);
  assert.equal(error.$fault, 'client');
  assert.match(error.$metadata.requestId, /^[0-9a-f-]{36}$/);
  if (message) assert.match(error.message, message);
  return error;
}

test('a guest signs in by the pool, and each device is one of its own', async () => {
  const one = await developer.guest(pool, 'phone');
  const again = await developer.guest(pool, 'phone');
  const other = await developer.guest(pool, 'tablet');
  assert.equal(one.names.IdentityId, again.names.IdentityId);
  assert.match(one.names.IdentityId, /^us-east-1:[0-9a-f-]{36}$/);
  assert.notEqual(one.names.IdentityId, other.names.IdentityId);
  const left = one.credentials.expiration.getTime() - Date.now();
  assert.ok(left > 0 && left <= 3_600_000, String(left));
});

test('a user of the developer signs in with a token, and stays the same', async () => {
  const one = await developer.user(pool, 'ada');
  const other = await developer.user(pool, 'ada');
  assert.equal(one.names.IdentityId, other.names.IdentityId);
  await one.dataset('game').update([replace('level', '7')]);
  assert.deepEqual(await other.dataset('game').values(), { level: '7' });
});

test('records come back as they were written', async () => {
  const dataset = (await developer.guest(pool)).dataset('a:b.c_d-e');
  const date = new Date(1_700_574_873_059);
  const [written] = await dataset.update([
    replace('höhe/+ %', 'ü ✓ "x"', 0, { DeviceLastModifiedDate: date }),
  ]);
  assert.equal(written.Key, 'höhe/+ %');
  assert.equal(written.Value, 'ü ✓ "x"');
  assert.equal(written.SyncCount, 1);
  assert.equal(written.LastModifiedBy, dataset.names.IdentityId);
  assert.deepEqual(written.DeviceLastModifiedDate, date);
  assert.ok(written.LastModifiedDate instanceof Date);
  const listed = await dataset.list();
  assert.deepEqual(listed.Records, [written]);
  assert.equal(listed.DatasetSyncCount, 1);
  assert.equal(listed.DatasetExists, true);
  assert.equal(listed.DatasetDeletedAfterRequestedSyncCount, false);
  assert.equal(listed.NextToken, undefined);
  assert.equal(listed.MergedDatasetNames, undefined);
});

test('a stale count is a conflict, and the session goes on', async () => {
  const dataset = (await developer.guest(pool)).dataset('game');
  await dataset.update([replace('level', '1')]);
  const { SyncSessionToken: token } = await dataset.list();
  const error = await refused(
    dataset.update([replace('level', '2')], token),
    ResourceConflictException,
    409,
  );
  assert.equal(error.name, 'ResourceConflictException');
  assert.equal(error.message, 'Current SyncCount for: level is: 1 not: 0');
  const [written] = await dataset.update([replace('level', '2', 1)], token);
  assert.equal(written.SyncCount, 2);
  await refused(
    dataset.update([replace('level', '3', 2)], token),
    InvalidParameterException,
    400,
    /^SyncSessionToken not valid for these inputs/,
  );
});

test('only what is newer is listed, removed records without a value', async () => {
  const dataset = (await developer.guest(pool)).dataset('game');
  await dataset.update([replace('a', '1'), replace('b', '1')]);
  await dataset.update([remove('a', 1)]);
  const { Records } = await dataset.list(1);
  assert.equal(Records.length, 1);
  assert.equal(Records[0].Key, 'a');
  assert.equal(Records[0].Value, undefined);
  assert.deepEqual(await dataset.values(), { a: null, b: '1' });
  await refused(
    dataset.list(3),
    InvalidParameterException,
    400,
    /^No such SyncCount: 3 exists for this Dataset/,
  );
});

test('pages hold everything once', async () => {
  const guest = await developer.guest(pool);
  const dataset = guest.dataset('pages');
  const keys = Array.from({ length: 40 }, (_, number) => `key ${String(number).padStart(2, '0')}`);
  await dataset.update(keys.map((key) => replace(key, key)));
  const found = [];
  let token;
  do {
    const page = await dataset.list(0, { MaxResults: 7, NextToken: token });
    assert.equal(page.Count, page.Records.length);
    assert.equal(page.DatasetSyncCount, 1);
    found.push(...page.Records.map((record) => record.Key));
    token = page.NextToken;
  } while (token);
  assert.deepEqual(found, keys);
  await guest.dataset('other').update([replace('a', '1')]);
  const first = await guest.sync.listDatasets({ ...guest.names, MaxResults: 1 });
  const second = await guest.sync.listDatasets({
    ...guest.names,
    MaxResults: 1,
    NextToken: first.NextToken,
  });
  const names = [first, second].flatMap((page) => page.Datasets.map((one) => one.DatasetName));
  assert.deepEqual(names, ['other', 'pages']);
  assert.equal(second.NextToken, undefined);
});

test('a deleted dataset is told of and comes to be again', async () => {
  const dataset = (await developer.guest(pool)).dataset('game');
  await dataset.update([replace('old', '12345')]);
  const { Dataset: described } = await dataset.describe();
  assert.equal(described.NumRecords, 1);
  assert.equal(described.DataStorage, 8);
  assert.ok(described.CreationDate instanceof Date);
  assert.deepEqual((await dataset.delete()).Dataset, described);
  const gone = await dataset.list(1);
  assert.equal(gone.DatasetExists, false);
  assert.equal(gone.DatasetDeletedAfterRequestedSyncCount, true);
  await refused(dataset.describe(), ResourceNotFoundException, 404, /game/);
  await refused(dataset.delete(), ResourceNotFoundException, 404, /game/);
  const [written] = await dataset.update([replace('new', '1')]);
  assert.equal(written.SyncCount, 3);
});

test('usage is told to whom it concerns', async () => {
  const guest = await developer.guest(pool);
  await guest.dataset('game').update([replace('level', '7')]);
  const { IdentityUsage: usage } = await guest.sync.describeIdentityUsage(guest.names);
  assert.equal(usage.DatasetCount, 1);
  assert.equal(usage.DataStorage, 6);
  const { IdentityPoolId } = guest.names;
  const { IdentityPoolUsage: of } = await developer.sync.describeIdentityPoolUsage({
    IdentityPoolId,
  });
  assert.equal(of.IdentityPoolId, IdentityPoolId);
  assert.ok(of.DataStorage >= 6 && of.SyncSessionsCount >= 1);
  const { IdentityPoolUsages } = await developer.sync.listIdentityPoolUsage({ MaxResults: 1000 });
  assert.ok(IdentityPoolUsages.some((one) => one.IdentityPoolId === IdentityPoolId));
  const denied = await refused(
    guest.sync.describeIdentityPoolUsage({ IdentityPoolId }),
    CognitoSyncServiceException,
    403,
    /is not authorized to perform: cognito-sync:DescribeIdentityPoolUsage/,
  );
  assert.equal(denied.name, 'AccessDeniedException');
});

test('configuration, devices and subscriptions', async () => {
  const ofPool = { IdentityPoolId: await developer.pool() };
  const guest = await developer.guest(ofPool.IdentityPoolId);
  const device = { ...guest.names, Platform: 'GCM', Token: 'a token' };
  await refused(guest.sync.registerDevice(device), InvalidConfigurationException, 400);
  const set = await developer.sync.setIdentityPoolConfiguration({
    ...ofPool,
    PushSync: { ApplicationArns: [APPLICATION], RoleArn: ROLE },
  });
  assert.deepEqual(set.PushSync, { ApplicationArns: [APPLICATION], RoleArn: ROLE });
  const got = await developer.sync.getIdentityPoolConfiguration(ofPool);
  assert.deepEqual(got.PushSync, set.PushSync);
  const { DeviceId } = await guest.sync.registerDevice(device);
  const dataset = guest.dataset('game');
  const subscription = { ...dataset.names, DeviceId };
  await refused(guest.sync.subscribeToDataset(subscription), ResourceNotFoundException, 404);
  await dataset.update([replace('a', '1')]);
  await guest.sync.subscribeToDataset(subscription);
  await guest.sync.unsubscribeFromDataset(subscription);
  await refused(guest.sync.unsubscribeFromDataset(subscription), ResourceNotFoundException, 404);
  await refused(
    developer.sync.registerDevice(device),
    NotAuthorizedException,
    403,
    /^These credentials are not valid for accessing this resource/,
  );
});

test('events and bulk publish', async () => {
  const ofPool = { IdentityPoolId: await developer.pool() };
  await developer.sync.setCognitoEvents({ ...ofPool, Events: { SyncTrigger: FUNCTION } });
  const { Events } = await developer.sync.getCognitoEvents(ofPool);
  assert.deepEqual(Events, { SyncTrigger: FUNCTION });
  await developer.sync.setCognitoEvents({ ...ofPool, Events: { SyncTrigger: '' } });
  assert.deepEqual((await developer.sync.getCognitoEvents(ofPool)).Events ?? {}, {});
  await refused(developer.sync.bulkPublish(ofPool), InvalidParameterException, 400);
  const details = await developer.sync.getBulkPublishDetails(ofPool);
  assert.equal(details.BulkPublishStatus, 'NOT_STARTED');
});

test('errors have the class that the client gives them', async () => {
  const guest = await developer.guest(pool);
  const dataset = guest.dataset('game');
  const many = Array.from({ length: 41 }, (_, number) => replace(`key ${number}`, '1'));
  await refused(dataset.update(many), LimitExceededException, 400);
  await refused(
    dataset.update([replace('a', '1')], 'no token'),
    InvalidParameterException,
    400,
    /^SyncSessionToken not valid for these inputs/,
  );
  const nowhere = 'us-east-1:00000000-0000-4000-8000-000000000000';
  await refused(
    developer.sync.describeIdentityPoolUsage({ IdentityPoolId: nowhere }),
    ResourceNotFoundException,
    404,
  );
  const { secretAccessKey: wrong } = guest.credentials;
  const stranger = developer.syncAs({ ...ROOT_KEY, secretAccessKey: wrong });
  const unsigned = await refused(
    stranger.listIdentityPoolUsage({}),
    CognitoSyncServiceException,
    403,
  );
  assert.equal(unsigned.name, 'InvalidSignatureException');
  await refused(
    developer.guest(await developer.pool(false)),
    IdentityNotAuthorized,
    400,
    /^Unauthenticated access is not supported for this identity pool/,
  );
});

test('any region signs', async () => {
  const guest = await developer.guest(pool);
  const elsewhere = new Developer(server);
  elsewhere.options.region = 'eu-central-1';
  assert.notEqual(elsewhere.options.region, REGION);
  const sync = elsewhere.syncAs(guest.credentials);
  assert.equal((await sync.listDatasets(guest.names)).Count, 0);
});
