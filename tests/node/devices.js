// amazon-cognito-js 1.1.0 on aws-sdk version 2: devices of a user, and their synchronisation as a
// promise of how it went.

import { randomUUID } from 'node:crypto';
import { promisify } from 'node:util';

import AWS from 'aws-sdk';
// Adds itself to AWS.
import 'amazon-cognito-js';

import { REGION } from './server_process.js';

const { StoreInMemory, StoreLocalStorage } = AWS.CognitoSyncManager;

/** What a browser has: strings by key, the keys being properties of the storage. */
class Storage {
  getItem(key) {
    return Object.hasOwn(this, key) ? this[key] : null;
  }

  setItem(key, value) {
    this[key] = String(value);
  }

  removeItem(key) {
    delete this[key];
  }
}

/** A device on which a user is signed in. */
export class Device {
  /** `login`: identity and token of a user of the developer; without it a guest of the pool. */
  static async signIn(server, pool, login, { inBrowser = false } = {}) {
    const options = { region: REGION, endpoint: server.url, maxRetries: 0 };
    const signIn = login
      ? {
          IdentityPoolId: pool,
          IdentityId: login.IdentityId,
          Logins: { 'cognito-identity.amazonaws.com': login.Token },
        }
      : // Not the guest whom the last device of this process was.
        { IdentityPoolId: pool, LoginId: randomUUID() };
    const credentials = new AWS.CognitoIdentityCredentials(signIn, options);
    await credentials.getPromise();
    // The library knows no other way to be told.
    AWS.config.update({ region: REGION, maxRetries: 0, credentials });
    AWS.config.cognitosync = { endpoint: server.url };
    if (inBrowser) globalThis.window = { localStorage: new Storage() };
    const DataStore = inBrowser ? StoreLocalStorage : StoreInMemory;
    return new Device(new AWS.CognitoSyncManager({ DataStore }));
  }

  constructor(manager) {
    this.manager = manager;
    this.identity = manager.getIdentityId();
  }

  async open(name) {
    const open = promisify(this.manager.openOrCreateDataset.bind(this.manager));
    return new DeviceDataset(this, await open(name));
  }

  /** Deletes here; the next synchronisation deletes there. The library has no public way. */
  async delete(name) {
    const { local } = this.manager;
    await promisify(local.deleteDataset.bind(local))(this.identity, name);
  }

  /** Names of the datasets that the library has a note of. */
  async names() {
    const all = await promisify(this.manager.listDatasets.bind(this.manager))();
    return all.map((one) => one.getDatasetName()).sort();
  }
}

/** A dataset on one device. */
export class DeviceDataset {
  constructor(device, dataset) {
    this.device = device;
    this.dataset = dataset;
    for (const name of ['put', 'get', 'remove', 'putAll', 'getAll', 'resolve', 'isChanged']) {
      this[name] = promisify(dataset[name].bind(dataset));
    }
  }

  /** The count up to which the device knows the dataset. */
  async lastCount() {
    const metadata = await promisify(this.dataset.getDatasetMetadata.bind(this.dataset))();
    return metadata.getLastSyncCount();
  }

  /**
   * Synchronises. `resolve` gets the conflicts and gives the records to go on with, or nothing to
   * give up. Deletions and merges end the promise; their `answer` takes what the app decides.
   */
  synchronize(resolve) {
    const conflicts = [];
    return new Promise((done) => {
      const end = (how, more) => done({ how, conflicts, ...more });
      this.dataset.synchronize({
        onSuccess: () => end('success'),
        onFailure: (error) => end('failure', { message: error.message }),
        onConflict: (dataset, found, go) => {
          conflicts.push(...found.map(shown));
          const records = resolve?.(found);
          if (records) dataset.resolve(records, (error) => go(!error));
          else go(false);
        },
        onDatasetDeleted: (dataset, name, answer) => end('deleted', { name, answer }),
        onDatasetsMerged: (dataset, names, answer) => end('merged', { names, answer }),
      });
    });
  }
}

function shown(conflict) {
  return {
    key: conflict.getKey(),
    here: conflict.getLocalRecord().getValue(),
    there: conflict.getRemoteRecord().getValue(),
  };
}

export const takeTheirs = (conflicts) => conflicts.map((one) => one.resolveWithRemoteRecord());
export const keepOurs = (conflicts) => conflicts.map((one) => one.resolveWithLocalRecord());
