// bullmq - a queue in Redis, for Node. Chosen for speed: ten jobs at once a process (4 and 20 took more processor time a
// job), nothing kept of a job that is done, no retries, jobs added in bulk. ioredis' automatic pipelining cost more than it
// saved, and stays off.
import { main, pool, redisLock, require, store } from './common.mjs';
const { Queue, Worker } = require('bullmq');
const Redis = require('ioredis');

const slots = Number(process.env.PEERS_SLOTS ?? 10);
const url = process.env.FENCELINE_REDIS;
let redis;
let queue;

await main({
    async worker()
    {
        redis = new Redis(url, { maxRetriesPerRequest: null });
        const locked = redisLock(redis);
        const db = pool(slots);
        await db.query('SELECT 1');
        const worker = new Worker('imports', (job) => locked(job.data.episode, () => store(db, job.data)), {
            connection: redis,
            concurrency: slots,
        });
        worker.on('failed', (job, error) => console.error(`peer: ${error.message}`));
        worker.on('error', (error) => console.error(`peer: ${error.message}`));
    },
    async open()
    {
        redis = new Redis(url, { maxRetriesPerRequest: null });
        queue = new Queue('imports', {
            connection: redis,
            defaultJobOptions: { removeOnComplete: true, attempts: 1 },
        });
        await queue.waitUntilReady();
    },
    bulk: (jobs) => queue.addBulk(jobs.map((data) => ({ name: 'import', data }))),
    send: (data) => queue.add('import', data),
    async close()
    {
        await queue.close();
        redis.disconnect();
    },
});
