// pg-boss - a queue in Postgres, for Node. Chosen for speed: batches of up to 64 jobs, whose imports share eight connections
// (4 with batches of 16, and 16 with 100, were no faster), no retries, no maintenance while it is measured, jobs added in
// bulk.
import { main, pool, postgres, require, store } from './common.mjs';
const PgBoss = require('pg-boss');
const pg = require('pg');

const slots = Number(process.env.PEERS_SLOTS ?? 8);
const batch = Number(process.env.PEERS_BATCH ?? 64);
let boss;
let db;

async function start(size)
{
    boss = new PgBoss({ connectionString: postgres, max: size, supervise: false, schedule: false });
    boss.on('error', (error) => console.error(`peer: ${error.message}`));
    await boss.start();
    await boss.createQueue('imports');
}

await main({
    async worker()
    {
        await start(4);
        db = pool(slots);
        await db.query('SELECT 1');
        const listener = new pg.Client({ connectionString: postgres });
        await listener.connect();
        await listener.query('LISTEN peers_imports');
        // It polls twice a second at most. Here it asks again at once after a batch, and is woken by NOTIFY.
        const id = await boss.work('imports', { batchSize: batch, pollingIntervalSeconds: 0.5 }, async (jobs) => {
            boss.notifyWorker(id);
            await Promise.all(jobs.map((job) => store(db, job.data, true)));
        });
        listener.on('notification', () => boss.notifyWorker(id));
    },
    async open()
    {
        await start(4);
        db = pool(4);
    },
    bulk: (jobs) => boss.insert(jobs.map((data) => ({ name: 'imports', data, retryLimit: 0 }))),
    async send(data)
    {
        await boss.send('imports', data, { retryLimit: 0 });
        await db.query('NOTIFY peers_imports');
    },
    async close()
    {
        await db.end();
        await boss.stop({ graceful: false, wait: true });
        process.exit(0);
    },
});
