// Who takes part, through the clients of version 3: a developer with the root key, and users.

import { randomUUID } from 'node:crypto';

import { CognitoIdentity } from '@aws-sdk/client-cognito-identity';
import { CognitoSync } from '@aws-sdk/client-cognito-sync';
import { fromCognitoIdentity, fromCognitoIdentityPool } from '@aws-sdk/credential-providers';

import { REGION, ROOT_KEY } from './server_process.js';

export const PROVIDER = 'login.example.app';

/** Has the root key. */
export class Developer {
  constructor(server) {
    // A test must see the first answer, not that of a later try.
    this.options = { endpoint: server.url, region: REGION, maxAttempts: 1 };
    this.identity = new CognitoIdentity({ ...this.options, credentials: ROOT_KEY });
    this.sync = this.syncAs(ROOT_KEY);
  }

  syncAs(credentials) {
    return new CognitoSync({ ...this.options, credentials });
  }

  /** Makes an identity pool; returns its id. */
  async pool(guests = true) {
    const made = await this.identity.createIdentityPool({
      IdentityPoolName: 'app',
      AllowUnauthenticatedIdentities: guests,
      DeveloperProviderName: PROVIDER,
    });
    return made.IdentityPoolId;
  }

  /**
   * A guest, signed in by the provider that finds an identity by itself and remembers it under the
   * name of the device.
   */
  async guest(pool, device = randomUUID()) {
    const credentials = await fromCognitoIdentityPool({
      identityPoolId: pool,
      userIdentifier: device,
      clientConfig: this.options,
    })();
    return new User(this, pool, credentials.identityId, credentials);
  }

  /** A user whose credentials another process of the same server gave out. */
  again(user) {
    return new User(this, user.names.IdentityPoolId, user.names.IdentityId, user.credentials);
  }

  /** The token with which a user of the developer's own login system signs in. */
  async login(pool, name, identity) {
    return this.identity.getOpenIdTokenForDeveloperIdentity({
      IdentityPoolId: pool,
      IdentityId: identity,
      Logins: { [PROVIDER]: name },
    });
  }

  /** A user whom the developer's own login system knows. */
  async user(pool, name) {
    const answer = await this.login(pool, name);
    const credentials = await fromCognitoIdentity({
      identityId: answer.IdentityId,
      logins: { 'cognito-identity.amazonaws.com': answer.Token },
      clientConfig: this.options,
    })();
    return new User(this, pool, answer.IdentityId, credentials);
  }
}

/** Has temporary credentials of one identity. */
export class User {
  constructor(developer, pool, identity, credentials) {
    this.names = { IdentityPoolId: pool, IdentityId: identity };
    this.credentials = credentials;
    this.sync = developer.syncAs(credentials);
  }

  dataset(name) {
    return new Dataset(this.sync, { ...this.names, DatasetName: name });
  }
}

/** A dataset through the eyes of one client. */
export class Dataset {
  constructor(sync, names) {
    this.sync = sync;
    this.names = names;
  }

  list(since = 0, more = {}) {
    return this.sync.listRecords({ ...this.names, LastSyncCount: since, ...more });
  }

  /** Writes; opens a session first unless one is given. */
  async update(patches, token) {
    const answer = await this.sync.updateRecords({
      ...this.names,
      SyncSessionToken: token ?? (await this.list()).SyncSessionToken,
      RecordPatches: patches,
    });
    return answer.Records;
  }

  describe() {
    return this.sync.describeDataset(this.names);
  }

  delete() {
    return this.sync.deleteDataset(this.names);
  }

  /** What is there, by key; removed records as null. */
  async values() {
    const { Records } = await this.list();
    return Object.fromEntries(Records.map((record) => [record.Key, record.Value ?? null]));
  }
}

export function replace(key, value, count = 0, more = {}) {
  return { Op: 'replace', Key: key, Value: value, SyncCount: count, ...more };
}

export function remove(key, count) {
  return { Op: 'remove', Key: key, SyncCount: count };
}
