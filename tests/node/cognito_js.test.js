// amazon-cognito-js 1.1.0: the devices of one user, with the library's own defects named.

import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';

import { Dataset, Developer, PROVIDER, remove, replace } from './actors.js';
import { Device, keepOurs, takeTheirs } from './devices.js';
import { startServer } from './server_process.js';

const SUCCESS = { how: 'success', conflicts: [] };
// The library calls a method of itself that it does not have (amazon-cognito-js#4).
const MISSING = /_synchronizeInternal is not a function/;

let server, developer, pool, login, serial = 0;

before(async () => {
  server = await startServer();
  developer = new Developer(server);
  pool = await developer.pool();
});
after(async () => assert.equal(await server.stop(), 0));

beforeEach(async () => {
  serial += 1;
  login = await developer.login(pool, `user-${serial}`);
});

/** A device of the test's user. */
function device(more) {
  return Device.signIn(server, pool, login, more);
}

/** The dataset `game` on two devices of the test's user. */
async function twoDevices() {
  const [phone, tablet] = [await device(), await device()];
  return [await phone.open('game'), await tablet.open('game')];
}

/** The server's copy, as the developer sees it. */
function onServer(name = 'game', identity = login.IdentityId) {
  return new Dataset(developer.sync, {
    IdentityPoolId: pool,
    IdentityId: identity,
    DatasetName: name,
  });
}

async function synchronized(dataset) {
  assert.deepEqual(await dataset.synchronize(), SUCCESS);
}

describe('reading and writing', () => {
  test('what one device puts another gets', async () => {
    const [phone, tablet] = await twoDevices();
    await phone.put('level', '7');
    await phone.putAll({ name: 'Ada', 'a:b.c_d-e': 'ü ✓' });
    assert.equal(await phone.isChanged('level'), true);
    await synchronized(phone);
    assert.equal(await phone.isChanged('level'), false);
    assert.equal(await phone.lastCount(), 1);
    await synchronized(tablet);
    assert.equal(await tablet.get('level'), '7');
    assert.deepEqual(await tablet.getAll(), { level: '7', name: 'Ada', 'a:b.c_d-e': 'ü ✓' });
    assert.equal(await tablet.lastCount(), 1);
    await tablet.put('level', '8');
    await synchronized(tablet);
    await synchronized(phone);
    assert.equal(await phone.get('level'), '8');
    assert.equal(await phone.lastCount(), 2);
  });

  test('nothing to tell is a success', async () => {
    const [phone] = await twoDevices();
    await synchronized(phone);
    assert.equal((await onServer().list()).DatasetExists, false);
    await phone.put('level', '7');
    await synchronized(phone);
    await synchronized(phone);
    assert.equal((await onServer().list()).DatasetSyncCount, 1);
  });

  test('a guest synchronises, with the storage of a browser', async () => {
    const phone = await Device.signIn(server, pool, null, { inBrowser: true });
    const dataset = await phone.open('game');
    await dataset.put('level', '7');
    await synchronized(dataset);
    await dataset.put('level', '8');
    await synchronized(dataset);
    assert.deepEqual(await onServer('game', phone.identity).values(), { level: '8' });
  });

  test('changes of different keys meet without a conflict', async () => {
    const [phone, tablet] = await twoDevices();
    await phone.put('level', '7');
    await tablet.put('name', 'Ada');
    await synchronized(phone);
    await synchronized(tablet);
    await synchronized(phone);
    const both = { level: '7', name: 'Ada' };
    assert.deepEqual(await phone.getAll(), both);
    assert.deepEqual(await tablet.getAll(), both);
    assert.deepEqual(await onServer().values(), both);
  });

  test('a dataset of more than one page comes whole', async () => {
    const keys = Array.from({ length: 1024 }, (_, number) => `key-${number}`);
    const there = onServer();
    await there.update(keys.slice(0, 200).map((key) => replace(`old-${key}`, '1')));
    await there.update(keys.slice(0, 200).map((key) => remove(`old-${key}`, 1)));
    await there.update(keys.map((key) => replace(key, key)));
    const [phone] = await twoDevices();
    await synchronized(phone);
    const all = await phone.getAll();
    assert.equal(Object.keys(all).length, 1224);
    assert.deepEqual(keys.filter((key) => all[key] !== key), []);
    // The session is the last page's, which must be good for a write.
    await phone.put('key-0', 'new');
    await synchronized(phone);
    assert.equal((await there.values())['key-0'], 'new');
  });

  test('the datasets of the server are listed', async () => {
    await onServer('one').update([replace('a', '1')]);
    await onServer('two').update([replace('a', '1'), replace('b', '22')]);
    const phone = await device();
    // The library reads its notes before it may write them.
    await phone.names();
    const found = await new Promise((resolve, reject) => {
      const told = (error, all) => (error ? reject(error) : resolve(all));
      phone.manager.refreshDatasetMetadata(told);
    });
    const shown = found.map((one) => [
      one.getDatasetName(),
      one.getRecordCount(),
      one.getDataStorage(),
      one.getLastModifiedBy(),
    ]);
    assert.deepEqual(shown, [
      ['one', 1, 2, '000000000000'],
      ['two', 2, 5, '000000000000'],
    ]);
    assert.ok(Math.abs(found[0].getCreationDate() - Date.now()) < 86_400_000);
  });
});

describe('removing', () => {
  test('a removal travels', async () => {
    const [phone, tablet] = await twoDevices();
    await phone.putAll({ level: '7', name: 'Ada' });
    await synchronized(phone);
    await synchronized(tablet);
    await phone.remove('level');
    await synchronized(phone);
    await synchronized(tablet);
    // A removed key comes back with an empty value, since the library reads null as that
    // (amazon-cognito-js#44, #58).
    assert.deepEqual(await tablet.getAll(), { level: '', name: 'Ada' });
    assert.deepEqual(await onServer().values(), { level: null, name: 'Ada' });
  });

  test('an empty string is sent as a remove that has a value', async () => {
    const [phone, tablet] = await twoDevices();
    await phone.put('level', '7');
    await synchronized(phone);
    await synchronized(tablet);
    await phone.put('level', '');
    await phone.put('never', '');
    await synchronized(phone);
    assert.deepEqual(await onServer().values(), { level: null, never: null });
    await synchronized(tablet);
    assert.equal(await tablet.get('level'), '');
  });

  test('a removed key is written again', async () => {
    const [phone, tablet] = await twoDevices();
    await phone.put('level', '7');
    await synchronized(phone);
    await phone.remove('level');
    await synchronized(phone);
    await synchronized(tablet);
    await tablet.put('level', '9');
    await synchronized(tablet);
    await synchronized(phone);
    assert.equal(await phone.get('level'), '9');
    assert.equal(await phone.lastCount(), 3);
  });

  test('a dataset with nothing but removed records synchronises', async () => {
    const [phone, tablet] = await twoDevices();
    await phone.put('level', '7');
    await synchronized(phone);
    await phone.remove('level');
    await synchronized(phone);
    await synchronized(phone);
    await synchronized(tablet);
    await synchronized(tablet);
    assert.equal(await tablet.lastCount(), 2);
  });
});

describe('conflicts', () => {
  /** Both devices have changed `level`, and the phone was first. */
  async function conflict() {
    const [phone, tablet] = await twoDevices();
    await phone.put('level', '1');
    await synchronized(phone);
    await synchronized(tablet);
    await phone.put('level', 'phone');
    await tablet.put('level', 'tablet');
    await synchronized(phone);
    return [phone, tablet];
  }

  const found = [{ key: 'level', here: 'tablet', there: 'phone' }];

  test('the record of the server is taken', async () => {
    const [, tablet] = await conflict();
    assert.deepEqual(await tablet.synchronize(takeTheirs), { how: 'success', conflicts: found });
    assert.equal(await tablet.get('level'), 'phone');
    assert.equal(await tablet.lastCount(), 2);
    assert.deepEqual(await onServer().values(), { level: 'phone' });
  });

  test('the record of the device is kept', async () => {
    const [phone, tablet] = await conflict();
    assert.deepEqual(await tablet.synchronize(keepOurs), { how: 'success', conflicts: found });
    assert.deepEqual(await onServer().values(), { level: 'tablet' });
    assert.equal(await tablet.lastCount(), 3);
    await synchronized(phone);
    assert.equal(await phone.get('level'), 'tablet');
  });

  test('a third value takes the place of both', async () => {
    const [phone, tablet] = await conflict();
    const both = (conflicts) => conflicts.map((one) => one.resolveWithValue('both'));
    assert.deepEqual(await tablet.synchronize(both), { how: 'success', conflicts: found });
    assert.deepEqual(await onServer().values(), { level: 'both' });
    await synchronized(phone);
    assert.equal(await phone.get('level'), 'both');
  });

  test('an app that decides nothing keeps its change for later', async () => {
    const [, tablet] = await conflict();
    const first = await tablet.synchronize();
    assert.equal(first.how, 'failure');
    assert.match(first.message, /^Sync cancelled. Conflict callback returned false/);
    assert.equal(await tablet.get('level'), 'tablet');
    assert.deepEqual(await onServer().values(), { level: 'phone' });
    assert.equal((await tablet.synchronize(keepOurs)).how, 'success');
    assert.deepEqual(await onServer().values(), { level: 'tablet' });
  });

  test('a removal against a change is a conflict as well', async () => {
    const [phone, tablet] = await twoDevices();
    await phone.put('level', '1');
    await synchronized(phone);
    await synchronized(tablet);
    await phone.remove('level');
    await tablet.put('level', 'tablet');
    await synchronized(phone);
    const outcome = await tablet.synchronize(keepOurs);
    assert.deepEqual(outcome, {
      how: 'success',
      conflicts: [{ key: 'level', here: 'tablet', there: '' }],
    });
    assert.deepEqual(await onServer().values(), { level: 'tablet' });
  });

  test('a write between list and update is refused, listed anew and resolved', async () => {
    const [phone, tablet] = await twoDevices();
    await phone.put('level', 'phone');
    await tablet.put('level', 'tablet');
    const { remote } = tablet.device.manager;
    const { putRecords } = remote;
    let refusal;
    remote.putRecords = function (...given) {
      remote.putRecords = putRecords;
      const callback = given.at(-1);
      phone.synchronize().then(() => {
        putRecords.call(remote, ...given.slice(0, -1), (error, records) => {
          refusal = error?.message;
          callback(error, records);
        });
      });
    };
    const outcome = await tablet.synchronize(takeTheirs);
    assert.equal(
      refusal,
      'Failed to update records in dataset: game (Current SyncCount for: level is: 1 not: 0)',
    );
    assert.deepEqual(outcome, { how: 'success', conflicts: found });
    assert.equal(await tablet.get('level'), 'phone');
    assert.deepEqual(await onServer().values(), { level: 'phone' });
  });
});

describe('deleting the dataset', () => {
  /** The tablet knows the dataset at count 1; the phone has deleted it. */
  async function deletion() {
    const [phone, tablet] = await twoDevices();
    await phone.put('level', '1');
    await synchronized(phone);
    await synchronized(tablet);
    await phone.device.delete('game');
    await synchronized(phone);
    assert.equal((await onServer().list()).DatasetExists, false);
    return [phone, tablet];
  }

  test('the other device is told, and may keep what it has', async () => {
    const [, tablet] = await deletion();
    const told = await tablet.synchronize();
    assert.equal(told.how, 'deleted');
    assert.equal(told.name, 'game');
    told.answer(false);
    assert.equal(await tablet.get('level'), '1');
    assert.equal(await tablet.lastCount(), 1);
    // It is told again, each time.
    assert.equal((await tablet.synchronize()).how, 'deleted');
  });

  test('it drops its copy, fails by a defect, and goes on when opened anew', async () => {
    const [, tablet] = await deletion();
    const told = await tablet.synchronize();
    assert.throws(() => told.answer(true), MISSING);
    assert.deepEqual(await tablet.device.names(), []);
    const anew = await tablet.device.open('game');
    assert.equal(await anew.get('level').catch(() => undefined), undefined);
    await synchronized(anew);
    await anew.put('level', 'new');
    await synchronized(anew);
    assert.equal(await anew.lastCount(), 3);
    assert.deepEqual(await onServer().values(), { level: 'new' });
  });

  test('the device that deleted makes it again', async () => {
    const [phone] = await deletion();
    const anew = await phone.device.open('game');
    await anew.put('other', '2');
    await synchronized(anew);
    assert.deepEqual(await onServer().values(), { other: '2' });
    assert.equal(await anew.lastCount(), 3);
  });

  test('deleted and made again, the other device is told and then has the new one', async () => {
    const [phone, tablet] = await deletion();
    const made = await phone.device.open('game');
    await made.put('other', '2');
    await synchronized(made);
    await tablet.put('level', 'from before');
    const told = await tablet.synchronize();
    assert.equal(told.how, 'deleted');
    assert.throws(() => told.answer(true), MISSING);
    const anew = await tablet.device.open('game');
    await synchronized(anew);
    assert.deepEqual(await anew.getAll(), { other: '2' });
    assert.equal(await anew.lastCount(), 3);
    await anew.put('other', '3');
    await synchronized(anew);
    assert.deepEqual(await onServer().values(), { other: '3' });
  });

  test('deleting what was never sent fails, since the library expects no 404', async () => {
    const phone = await device();
    const dataset = await phone.open('game');
    await dataset.put('level', '1');
    await phone.delete('game');
    const outcome = await dataset.synchronize();
    assert.equal(outcome.how, 'failure');
    assert.equal(outcome.message, 'Failed to delete dataset.');
  });
});

describe('merging two identities', () => {
  /** Two users with a dataset `game` each are found to be one; the login is the winner's. */
  async function merge() {
    const [winner, loser] = [`winner-${serial}`, `loser-${serial}`];
    const lost = await developer.login(pool, loser);
    login = await developer.login(pool, winner);
    const phone = await (await device()).open('game');
    await phone.put('level', 'winner');
    await synchronized(phone);
    const other = await Device.signIn(server, pool, lost);
    const tablet = await other.open('game');
    await tablet.putAll({ level: 'loser', name: 'Ada' });
    await synchronized(tablet);
    const merged = await developer.identity.mergeDeveloperIdentities({
      SourceUserIdentifier: loser,
      DestinationUserIdentifier: winner,
      DeveloperProviderName: PROVIDER,
      IdentityPoolId: pool,
    });
    assert.equal(merged.IdentityId, login.IdentityId);
    return [phone, tablet, `game.${lost.IdentityId}`];
  }

  test('the merged dataset is told of until the app has copied and deleted it', async () => {
    const [phone, , name] = await merge();
    const told = await phone.synchronize();
    assert.equal(told.how, 'merged');
    assert.deepEqual(told.names, [name]);
    // The library has no way to go on after yes; an app says no and synchronises again.
    told.answer(false);
    const copy = await phone.device.open(name);
    await synchronized(copy);
    assert.deepEqual(await copy.getAll(), { level: 'loser', name: 'Ada' });
    assert.equal(await copy.lastCount(), 1);
    await phone.put('name', await copy.get('name'));
    await phone.device.delete(name);
    await synchronized(copy);
    await synchronized(phone);
    assert.deepEqual(await onServer().values(), { level: 'winner', name: 'Ada' });
    assert.equal((await onServer(name).list()).DatasetExists, false);
  });

  test('yes fails by a defect', async () => {
    const [phone] = await merge();
    const told = await phone.synchronize();
    assert.throws(() => told.answer(true), MISSING);
    assert.equal((await phone.synchronize()).how, 'merged');
  });

  test('a copy that the app leaves on the device uses up the tries', async () => {
    const [phone, , name] = await merge();
    (await phone.synchronize()).answer(false);
    await phone.device.open(name);
    const outcome = await new Promise((resolve) => {
      phone.dataset.synchronize({
        onSuccess: () => resolve('success'),
        onFailure: (error) => resolve(error.message),
        // amazon-cognito-js#34
        onDatasetsMerged: (dataset, names, go) => go(true),
      });
    });
    assert.equal(outcome, 'Synchronize failed: exceeded maximum retry count.');
  });

  test('the credentials of the identity that ended are refused', async () => {
    const [, tablet] = await merge();
    const outcome = await tablet.synchronize();
    assert.equal(outcome.how, 'failure');
    assert.equal(outcome.message, `Access to Identity '${tablet.device.identity}' is forbidden.`);
  });
});
