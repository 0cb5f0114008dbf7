// common - what the peers in Node share: the work itself, and the frame around it. Imported by peer_*.mjs.
//
// The work is written for speed: one Postgres connection a slot, in pipeline mode, where everything after the check
// leaves in one flight; statements prepared once a connection; rows as one array a column (unnest). Handing the rows
// over as JSON (json_to_recordset) cost Postgres more than it saved here.
import { createRequire } from 'node:module';
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';

export const require = createRequire(`${process.env.PEERS_MODULES}/`);
const pg = require('pg');

export const postgres = process.env.FENCELINE_POSTGRES;
const tables = {
    chapters: {
        name: 'chapters',
        columns: 'start_ms, end_ms, title, url, toc',
        types: ['bigint', 'bigint', 'text', 'text', 'boolean'],
        rows: 'chapters',
    },
    transcript: {
        name: 'transcript_segments',
        columns: 'start_ms, end_ms, speaker, body',
        types: ['bigint', 'bigint', 'text', 'text'],
        rows: 'segments',
    },
};
const lock = { name: 'lock', text: 'SELECT pg_advisory_xact_lock(hashtextextended($1, 0))' };
for (const [kind, table] of Object.entries(tables)) {
    const lists = table.types.map((type, i) => `$${i + 2}::${type}[]`).join(', ');
    const names = table.columns.split(', ').map((_, i) => `c${i}`).join(', ');
    table.check = {
        name: `${kind}_check`,
        text: `SELECT count(*)::int AS n FROM peers.${table.name} WHERE episode_id = $1`,
    };
    table.clear = { name: `${kind}_clear`, text: `DELETE FROM peers.${table.name} WHERE episode_id = $1` };
    table.insert = {
        name: `${kind}_insert`,
        text: `INSERT INTO peers.${table.name} (episode_id, order_index, ${table.columns})
               SELECT $1, i - 1, ${names} FROM unnest(${lists}) WITH ORDINALITY AS u (${names}, i)`,
    };
}

function ms(seconds)
{
    if (typeof seconds !== 'number' || !(seconds >= 0)) throw new Error(`a time is ${seconds}`);
    return Math.round(seconds * 1000);
}

// The columns of a document, as arrays.
function parse(kind, text)
{
    const rows = JSON.parse(text)[tables[kind].rows];
    if (!Array.isArray(rows) || rows.length === 0) throw new Error('no rows');
    const starts = rows.map((row) => ms(row.startTime));
    if (kind === 'transcript') {
        const ends = rows.map((row) => ms(row.endTime));
        return [starts, ends, rows.map((row) => row.speaker ?? null), rows.map((row) => row.body)];
    }
    const ends = rows.map((row, i) => (row.endTime === undefined ? starts[i + 1] ?? null : ms(row.endTime)));
    const urls = rows.map((row) => row.url ?? null);
    return [starts, ends, rows.map((row) => row.title ?? ''), urls, rows.map((row) => row.toc ?? true)];
}

export function pool(size)
{
    return new pg.Pool({ connectionString: postgres, min: size, max: size, pipeline: true, idleTimeoutMillis: 0 });
}

// Several statements in one write, one round trip. The answer to the last.
async function flight(client, statements)
{
    const { stream } = client.connection;
    stream.cork();
    const answers = statements.map((statement) => client.query(statement));
    stream.uncork();
    return (await Promise.all(answers)).at(-1);
}

// One transaction. Its lock, where it is one of Postgres, is the first statement of the same flight. A small file on a
// local disk is read sooner than handed to a thread.
export async function store(db, { kind, episode, source }, advisory = false)
{
    const table = tables[kind];
    const columns = parse(kind, readFileSync(`${process.env.FENCELINE_SOURCE_ROOT}/${source}`, 'utf8'));
    const client = await db.connect();
    try {
        const locked = advisory ? [{ ...lock, values: [episode] }] : [];
        const there = await flight(client, ['BEGIN', ...locked, { ...table.check, values: [episode] }]);
        if (there.rows[0].n > 0) {
            await client.query('ROLLBACK');
            throw new Error(`${episode}: ${kind} already imported`);
        }
        const { command } = await flight(client, [
            { ...table.clear, values: [episode] },
            { ...table.insert, values: [episode, ...columns] },
            'COMMIT',
        ]);
        if (command !== 'COMMIT') throw new Error(`${episode}: ${command}`);
    } finally {
        client.release();
    }
}

// A lock as redlock has it on one server: SET NX PX by a nonce, compare and delete.
export function redisLock(redis)
{
    redis.defineCommand('unlock', {
        numberOfKeys: 1,
        lua: "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) end return 0",
    });
    return async (episode, work) => {
        const key = `lock:{${episode}}`;
        const nonce = randomBytes(16).toString('hex');
        if ((await redis.set(key, nonce, 'PX', 30000, 'NX')) === null) throw new Error(`${episode}: locked`);
        try {
            await work();
        } finally {
            await redis.unlock(key, nonce);
        }
    };
}

// ---- the frame ----

function jobsOf(file)
{
    return readFileSync(file, 'utf8').trimEnd().split('\n').filter(Boolean).map((line) => {
        const [kind, episode, source] = line.split(' ');
        return { kind, episode, source };
    });
}

// Calls send at its moments, and prints when each call began, in microseconds.
async function paced(jobs, schedule, send)
{
    const offsets = readFileSync(schedule, 'utf8').trimEnd().split('\n').map(Number);
    const begun = [];
    const sent = [];
    const zero = performance.now() + 50;
    for (const [i, job] of jobs.entries()) {
        const wait = zero + offsets[i] * 1000 - performance.now();
        if (wait >= 1) await new Promise((resume) => setTimeout(resume, wait));
        begun.push(`${job.episode} ${Math.round((performance.timeOrigin + performance.now()) * 1000)}`);
        sent.push(send(job));
    }
    await Promise.all(sent);
    console.log(begun.join('\n'));
}

// usage: peer_NAME.mjs worker | enqueue JOBS [SCHEDULE]
export async function main({ worker, open, bulk, send, close })
{
    const [role, file, schedule] = process.argv.slice(2);
    if (role === 'worker') {
        await worker();
        return;
    }
    const jobs = jobsOf(file);
    await open();
    await (schedule ? paced(jobs, schedule, send) : bulk(jobs));
    await close();
}
