#!/usr/bin/env bash
# An output folder as a run leaves it, with made-up numbers: metrics.jsonl of STEPS steps, journal.jsonl.
# For looking at reports and for scripts/check_report.sh.
# usage: scripts/report_fixture.sh DIR STEPS [SEED]
set -euo pipefail
dir=${1:?usage: scripts/report_fixture.sh DIR STEPS [SEED]}
steps=${2:?usage: scripts/report_fixture.sh DIR STEPS [SEED]}
seed=${3:-1}
mkdir -p "$dir"
awk -v steps="$steps" -v seed="$seed" 'BEGIN {
  srand(seed)
  floor = 1.6 + 0.3 * rand()
  peak = 0.0002 * (0.5 + rand())
  each = int(steps / 10) > 0 ? int(steps / 10) : 1
  warm = steps / 50 + 1
  printf "{\"step\":0,\"epoch\":0.0,\"eval_loss\":10.51,\"eval_perplexity\":36680.1,\"eval_supervised_tokens\":82110,\"eval_samples\":512,\"eval_skipped_samples\":0,\"eval_seconds\":8.1}\n"
  for (s = 1; s <= steps; s++) {
    t = s / steps
    loss = floor + 8.9 * exp(-40 * t) + 1.2 * exp(-4 * t) + 0.25 * (rand() + rand() - 1)
    norm = 0.6 + 6 * exp(-60 * t) + 0.3 * rand()
    if (rand() < 3 / steps) { loss += 3; norm *= 20 }
    lr = s < warm ? peak * s / warm : peak * 0.5 * (1 + cos(3.14159 * t))
    ms = 1240 + 60 * rand() + (rand() < 0.002 ? 2400 : 0)
    tokens = 262144 - int(4000 * rand())
    wait = 3 + 4 * rand() + (rand() < 0.001 ? 700 : 0)
    bad = (s % int(steps / 3 + 1) == int(steps / 5 + 1))
    printf "{\"step\":%d,\"epoch\":%.6f,\"loss\":%s,\"ce_loss\":%.6f,\"load_balance_loss\":%.6f,\"grad_norm\":%s,\"learning_rate\":%.9g,\"tokens\":%d,\"supervised_tokens\":%d,\"samples\":%d,\"tokens_per_second\":%.3f,\"tokens_per_second_per_device\":%.3f,\"mfu\":%.6f,\"mfu_lmms_engine\":%.6f,\"step_ms\":%.3f,\"data_wait_ms\":%.3f,\"peak_memory_bytes\":%.0f,\"skipped_samples\":%d%s}\n",
      s, 2 * t, bad ? "null" : sprintf("%.6f", loss), loss - 0.02, 0.02 + 0.004 * rand(), bad ? "null" : sprintf("%.6f", norm), lr, tokens, tokens * 0.41, 180,
      tokens / ms * 1000, tokens / ms * 125, 0.47 * 1240 / ms, 0.61 * 1240 / ms, ms, wait, 61e9 + 5e9 * (t > 0.1), 37 * t, bad ? ",\"skipped\":true" : ""
    if (s % each == 0)
      printf "{\"step\":%d,\"epoch\":%.6f,\"eval_loss\":%.6f,\"eval_perplexity\":%.6f,\"eval_supervised_tokens\":82110,\"eval_samples\":512,\"eval_skipped_samples\":0,\"eval_seconds\":8.%d,\"eval_exact\":%.6f,\"eval_answers\":64}\n", s, 2 * t, mean = floor + 0.15 + 8.9 * exp(-40 * t) + 1.15 * exp(-4 * t) + 0.06 * t, exp(mean), s % 10, int(10 + 50 * t) / 64
  }
}' > "$dir/metrics.jsonl"
awk -v steps="$steps" '
# Rows of the evaluation set with a picture: the first is right, the second wrong until the end, the third wrong.
function seen(s) {
  return sprintf(",{\"row\":1,\"prompt\":\"Which digit is this?\",\"answer\":\"5\",\"expected\":\"5\",\"right\":true,\"tokens\":1,\"finished\":true,\"pictures\":[\"five\"]}" \
    ",{\"row\":2,\"prompt\":\"Spell it </script><b>out.\",\"answer\":\"%s\",\"expected\":\"five\",\"right\":%s,\"tokens\":1,\"finished\":true,\"pictures\":[\"five\",\"five\"]}" \
    ",{\"row\":7,\"prompt\":\"Even or odd?\",\"answer\":\"</script><img src=x>\",\"expected\":\"odd\",\"right\":false,\"tokens\":9,\"finished\":false,\"pictures\":[\"far\"]}",
    s == steps ? "five" : "two", s == steps ? "true" : "false")
}
BEGIN {
  now = 1764000000; half = int(steps / 2); each = int(steps / 10) > 0 ? int(steps / 10) : 1
  start = "\"versions\":{\"lmms\":\"0.1.0\",\"libtorch\":\"2.11.0\",\"CUDA\":\"13.0\",\"NCCL\":\"2.28.9\",\"driver\":\"580.95\"},\"machine\":{\"host\":\"gpu-17\",\"GPUs\":\"8 x NVIDIA H100 80GB HBM3\",\"CPU\":\"AMD EPYC 9654, 96 cores\",\"memory\":\"1.5 TiB\"},\"table\":[[\"model\",\"qwen3 from a checkpoint\"],[\"parameters\",\"1,720,574,976 trained, 0 frozen\"],[\"rows a step\",\"16, packed to 16,384 tokens\"],[\"optimiser\",\"AdamW, learning rate 0.0002, cosine, weight decay 0.1, clip 1\"],[\"kernels\",\"attention: FlashAttention-2; head: chunked linear cross entropy; AdamW: one pass over buckets\"]],\"sources\":[{\"path\":\"data/chats.jsonl\",\"format\":\"jsonl\",\"rows\":1184000,\"weight\":1.0,\"samples_per_epoch\":1184000},{\"path\":\"data/mathematics.parquet\",\"format\":\"parquet\",\"rows\":395812,\"weight\":0.5,\"samples_per_epoch\":197906}],\"evaluation_sources\":[{\"path\":\"data/eval.jsonl\",\"format\":\"jsonl\",\"rows\":512,\"weight\":1.0,\"samples_per_epoch\":512}],\"parameters\":{\"trained\":1720574976,\"all\":1720574976},\"total_steps\":" steps ",\"peak_flops_per_second\":989e12"
  printf "{\"kind\":\"start\",\"time\":%d.25,\"step\":0,%s}\n", now, start
  printf "{\"kind\":\"notice\",\"time\":%d,\"step\":0,\"text\":\"no meaning here: trainer_args.use_liger_kernel (kernels are chosen by the program), trainer_args.fsdp_config\"}\n", now
  printf "{\"kind\":\"generation\",\"time\":%d,\"step\":0,\"answers\":[{\"prompt\":\"What is the capital of France?\",\"answer\":\" the of,, and Par the\\n the</script><b>to\",\"tokens\":32,\"finished\":false},{\"prompt\":\"Write one sentence about the sea.\",\"answer\":\"\",\"tokens\":0,\"finished\":true}]}\n", now
  printf "{\"kind\":\"pictures\",\"time\":%d,\"step\":0,\"pictures\":{\"five\":\"data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAAAAADhZOFXAAAARElEQVR42iXB0QCAMBQAwPsYQChDGEIIGRTCEEIIYQhl8BBCmMHrozuWM3NWxbE/N4pXjICemQ3q1mL49QBrnxcYORY+U1EVg8zXofcAAAAASUVORK5CYII=\",\"far\":\"https://example.org/x.png\"}}\n", now
  for (s = each; s <= steps; s += each) {
    if (s > half && !went) { went = 1; printf "{\"kind\":\"start\",\"time\":%d.5,\"step\":%d,%s}\n", now + 1.26 * half + 3000, half, start }
    at = now + 1.26 * s + 3000 * went
    printf "{\"kind\":\"checkpoint\",\"time\":%d,\"step\":%d,\"path\":\"checkpoint-%d\",\"bytes\":24088051712,\"seconds\":%.1f}\n", at, s, s, 31 + s % 7
    printf "{\"kind\":\"generation\",\"time\":%d,\"step\":%d,\"answers\":[{\"prompt\":\"What is the capital of France?\",\"answer\":\"The capital of France is Paris.\",\"tokens\":7,\"finished\":true},{\"prompt\":\"Write one sentence about the sea.\",\"answer\":\"At dusk the sea gives back the light that it kept all day, a little of it at a time, to whoever has stayed to watch.\",\"tokens\":29,\"finished\":true}%s],\"exact\":{\"right\":%d,\"asked\":64}}\n", at, s, seen(s), 10 + int(50 * s / steps)
    printf "{\"kind\":\"samples\",\"time\":%d,\"step\":%d,\"path\":\"samples/step-%d.png\",\"preview\":\"%s\",\"labels\":[\"5\",\"</script><b>\"],\"per_class\":1,\"columns\":1,\"side\":8,\"how\":\"euler, 50 steps\",\"seconds\":2}\n", at, s, s, s == steps ? "https://example.org/x.png" : "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAAAAADhZOFXAAAARElEQVR42iXB0QCAMBQAwPsYQChDGEIIGRTCEEIIYQhl8BBCmMHrozuWM3NWxbE/N4pXjICemQ3q1mL49QBrnxcYORY+U1EVg8zXofcAAAAASUVORK5CYII="
    printf "{\"kind\":\"data\",\"time\":%d,\"step\":%d,\"samples\":%d,\"tokens\":%d,\"supervised_tokens\":%d,\"length_edges\":[1,64,128,256,512,1024,2048,4096,8192,16385],\"length_counts\":[%d,%d,%d,%d,%d,%d,%d,%d,%d],\"skipped\":{\"overlong\":{\"count\":31,\"first_where\":\"data/chats.jsonl:93\",\"first_what\":\"21085 tokens, the limit is 16384\"},\"bad\":{\"count\":6,\"first_where\":\"data/chats.jsonl:18233\",\"first_what\":\"messages[2].content: expected a text or a list of parts, got null\"}}}\n",
      at, s, s * 180, s * 260144, s * 107000, s * 4, s * 12, s * 30, s * 45, s * 41, s * 28, s * 13, s * 5, s * 2
  }
  printf "{\"kind\":\"warning\",\"time\":%d,\"step\":%d,\"text\":\"step %d: loss nan and gradient norm nan are not both finite; the update is skipped (1 in a row)\"}\n", at, int(steps / 5 + 1), int(steps / 5 + 1)
  printf "{\"kind\":\"end\",\"time\":%d,\"step\":%d,\"state\":\"finished\",\"text\":\"\"}\n", at + 40, steps
}' > "$dir/journal.jsonl"
