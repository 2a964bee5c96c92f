"""What stands between the tables of docs/scale.md (benchmarks/scale_page.py)."""

TOP = """# From one process to several Macs

This page is written by `python -m benchmarks.scale_page`; its tables are forecasts, computed as
`opd plan --hosts` computes them.

`opd train -n 2 CONFIG` trains one student with two processes on this machine; `opd train
--hosts hosts.json CONFIG` with one process on each Mac. Both work for every method that trains,
and `opd resume RUN` takes the same options, with any number of ranks.

What more ranks buy is a step whose rows are sampled, scored and differentiated side by side.
Each rank holds both models, so memory a process stays what `opd plan` says, unless the teacher
is cut over the ranks ([below](#a-teacher-too-large-for-one-mac)). On one machine, two processes
share one GPU and gain little; there `-n` is for trying things out.

New run's last step has the same choice: processes here, or a file of hosts. It names every
other host, and starts nothing on them before you say yes. The run's page shows what each rank
did of the last step, and which one was lost.

## What you need for several Macs

1. One environment of this program at the same path on each, and models, prompts and
   conversations at the same paths. Relative paths count from the folder in which you give the
   command.
2. ssh from the first Mac to every other one without a password.
3. A file of hosts. The first is the Mac you sit at: it holds the run.

   ```json
   {"backend": "ring",
    "hosts": [{"ssh": "mac1.local", "ips": ["10.0.0.1"]},
              {"ssh": "mac2.local", "ips": ["10.0.0.2"]}]}
   ```

   For JACCL (RDMA over Thunderbolt) `mlx.distributed_config` writes one with `rdma` devices;
   `--backend jaccl` or `mpi` is passed on.
4. `opd hosts check hosts.json --config CONFIG`: reaches each host by ssh, compares versions and
   model files with the first host's, shows free memory beside the forecast, and measures the
   link over the addresses the ranks will use. It exits 1 where anything stands against a start.
   `--write` puts `chip`, `memory_gb`, `mb_per_second` and `round_trip_ms` of each host into the
   file.
5. `opd plan CONFIG --hosts hosts.json`: what one, two, four and all hosts gain, and memory on
   each. It needs none of them, so it also plans Macs that you do not have yet: write their
   `chip` and `memory_gb` into the file.

Ranks talk in the clear over those addresses: use a cable or a network of your own. Only the
first Mac's workspace is opened.

## What is sent

One float32 sum a step of what learns (for LoRA of rank 32 on all layers of a 7B model about 320
MB), two whole numbers, and a few kilobytes of counts; GRPO also sends its completions. Before
step 1: settings, and the checkpoint where there is one.

## When a rank is lost

The first rank's next sum fails at once. The run ends as failed, with a sentence and a
checkpoint of the last whole step; go on with `opd resume RUN`, with or without `-n`.
`mlx.launch` reports success either way, so nothing here believes it. If the first rank itself
is killed, the command says so and the run stands at its last checkpoint. A host that hangs,
rather than dies, makes the others wait: Ctrl-C twice ends them all.
"""

GAINS = """## What each number of Macs gains, by forecast

The same Mac once, twice and four times, over 10 Gbit Ethernet. A step is the largest share of a
rank and one sum of what learns round the ring, 2 (n - 1) / n of it sent by each rank. Sampling
gains least, because reading the weights for a token takes as long for few rows as for many;
evaluations are the first Mac's alone. Longer steps (a larger `gradient_accumulation_steps`)
gain more.
"""

LINKS_TOP = """
What the link is worth, for `macs/128gb` on M4 Max. Speeds of wires are nominal; RDMA over
Thunderbolt is what hellas-ai/thunderbolt-ibverbs #44 measured between two Macs, at least; round
trips over Ethernet are taken as those that exo #2295 measured over a Thunderbolt bridge.
"""

SERVED = """
## A GPU server as teacher

With `teacher_endpoint` the teacher's reading and its memory leave the Mac. How long the server
takes is the server's: it answers while other rows are still sampled, so a step takes at least
what stands under *a step without*. What it may cost in exactness (a vLLM server hands over a
few logprobs at temperature 1) is in [methods.md](methods.md). It can be combined with several
Macs: each rank asks the server for its own rows.
"""

SHARDS = """
## A teacher too large for one Mac

`teacher_shards: n` cuts the teacher over n ranks by mlx-lm's own code, n being the number of
ranks: every matrix by its heads and columns (`tensor`), or, where mlx-lm has only that, some of
the layers on each (`pipeline`: %s). Embedding, norms and output head are on every rank. All
ranks read the rows of all, so a teacher in tensors takes no longer and sends two sums a layer;
one in a pipeline saves memory alone. It is for `on_policy` with a teacher that only scores: no
completions of its own, no adapter, no pictures; architectures without either are refused in
words (%d of mlx-lm's names have one: `opd check` says so). Two ranks learned what one process
with the whole teacher learns, to 4e-6.
"""

BOTTOM = """
## What was measured

Two processes on loopback (ring) against one, tiny models, four steps, in
`tests/trainers/test_ranks.py`: equal token counts in every step; adapters part by 4e-7 to
2.1e-6 of what they learned, also with pictures, and with the teacher in two shards. That is how
float32 rounds in micro-batches that are cut otherwise: the gradient of step 1 parts by 1.9e-7.
A learning rate a hundred times too high makes more of it (1.1e-5 in the model with pictures at
0.01, whose default is 1e-4); a step averaged wrongly parts adapters by percents. With dropout
above 0 each rank draws its own masks, and equality is not to be had.

The forecast of a sum was held against the ring on loopback, two processes on two busy cores
(mlx 0.32.4, median of 7): 16 MB took 33 ms and 161 MB 0.88 s where the forecast from the link's
measured 817 MB/s says 20 ms and 0.20 s: there the processor that copies and adds is what is
slow, and the forecast does not count it. The last row of the table of links is what such a
factor would cost.

Speed was not measured on more than one machine: not one row of the tables above is a
measurement.
"""
