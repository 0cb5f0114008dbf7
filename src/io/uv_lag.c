/* uv_lag.c - see uv_lag.h. A turn is the time between two waits, without what the loop itself spent waiting.
 */
#include "io/uv_lag.h"

static const uint64_t WINDOW_NS = UINT64_C(15000000000);

static void on_turn(uv_prepare_t *prepare)
{
    struct fl_uv_lag *lag = prepare->data;
    uint64_t now_ns = uv_hrtime(), idle_ns = uv_metrics_idle_time(prepare->loop);
    uint64_t passed_ns = now_ns - lag->seen_ns, waited_ns = idle_ns - lag->idle_ns;
    uint64_t turn_ns = passed_ns > waited_ns ? passed_ns - waited_ns : 0;
    lag->seen_ns = now_ns;
    lag->idle_ns = idle_ns;
    lag->busy_ns += turn_ns;
    if (now_ns - lag->window_ns > WINDOW_NS) {
        lag->longest_ns[1] = lag->longest_ns[0];
        lag->longest_ns[0] = 0;
        lag->window_ns = now_ns;
    }
    if (turn_ns > lag->longest_ns[0])
        lag->longest_ns[0] = turn_ns;
}

void fl_uv_lag_init(struct fl_uv_lag *lag, uv_loop_t *loop)
{
    *lag = (struct fl_uv_lag){0};
    uv_loop_configure(loop, UV_METRICS_IDLE_TIME);
    lag->seen_ns = lag->window_ns = uv_hrtime();
    uv_prepare_init(loop, &lag->prepare);
    lag->prepare.data = lag;
    uv_prepare_start(&lag->prepare, on_turn);
    uv_unref((uv_handle_t *)&lag->prepare);
}

double fl_uv_lag_seconds(const struct fl_uv_lag *lag)
{
    uint64_t longest_ns = lag->longest_ns[0] > lag->longest_ns[1] ? lag->longest_ns[0] : lag->longest_ns[1];
    return (double)longest_ns / 1e9;
}

void fl_uv_lag_close(struct fl_uv_lag *lag)
{
    uv_close((uv_handle_t *)&lag->prepare, NULL);
}
