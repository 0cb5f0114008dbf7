// graphile-worker - a queue in Postgres, for Node, woken by LISTEN. Chosen for speed: eight jobs at once (4 and 16 were no
// faster), its local queue, which takes 32 jobs at a time, completions in batches without a delay, jobs added in bulk.
import { main, pool, postgres, require, store } from './common.mjs';
const { Logger, makeWorkerUtils, run } = require('graphile-worker');
const pg = require('pg');

const slots = Number(process.env.PEERS_SLOTS ?? 8);
const logger = new Logger(() => (level, message) => {
    if (level === 'error') console.error(`peer: ${message}`);
});
let db;
let utils;

await main({
    async worker()
    {
        db = pool(slots);
        await db.query('SELECT 1');
        const own = new pg.Pool({ connectionString: postgres, max: 10 });
        await run({
            pgPool: own,
            logger,
            taskList: { imports: (payload) => store(db, payload, true) },
            preset: {
                worker: {
                    concurrentJobs: slots,
                    localQueue: { size: Number(process.env.PEERS_BATCH ?? 32) },
                    completeJobBatchDelay: 0,
                    failJobBatchDelay: 0,
                },
            },
        });
    },
    async open()
    {
        db = new pg.Pool({ connectionString: postgres, max: 4 });
        utils = await makeWorkerUtils({ pgPool: db, logger });
        await utils.migrate();
    },
    bulk: (jobs) => utils.addJobs(jobs.map((payload) => ({ identifier: 'imports', payload, maxAttempts: 1 }))),
    send: (payload) => utils.addJob('imports', payload, { maxAttempts: 1 }),
    async close()
    {
        await utils.release();
        await db.end();
    },
});
