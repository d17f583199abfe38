# Opening our pages in headless Chromium; sourced by check_report.sh and check_preview.sh, in the folder above this one, with
# `work` a folder of their own. Ends the script with 77 (CTest: skipped) where there is no Chromium.
chromium=$(command -v chromium || command -v chromium-browser || command -v google-chrome || true)
if [ -z "$chromium" ]; then
  echo "$(basename "$0" .sh): SKIPPED: no chromium here; install it to open the pages"
  exit 77
fi
flags=(--headless --no-sandbox --disable-gpu --hide-scrollbars "--user-data-dir=$work/profile")

# try_page PAGE SCRIPT WORD: opens a page with a script behind it and waits for what that says on the console, "WORD ... ", in real
# time, because frames are not drawn reliably under --virtual-time-budget. Prints what follows the word.
try_page() {
  local page=$work/tried.html log=$work/console.txt browser said=
  { cat "$1"; echo "<script>"; cat "$2"; echo "</script>"; } > "$page"
  : > "$log"
  "$chromium" "${flags[@]}" --remote-debugging-port=0 --enable-logging=stderr --v=0 --window-size=1200,1200 "file://$page" > /dev/null 2> "$log" &
  browser=$!
  for _ in $(seq 300); do
    said=$(sed -n "s/.*\"$3 \\(.*\\) \", source.*/\\1/p" "$log" | head -n 1)
    [ -z "$said" ] || break
    kill -0 "$browser" 2> /dev/null || break
    sleep 0.1
  done
  kill "$browser" 2> /dev/null || true
  wait "$browser" 2> /dev/null || true
  echo "${said:-- the page did not get to the end: $(grep -m 1 CONSOLE "$log" || tail -n 1 "$log")}"
}
