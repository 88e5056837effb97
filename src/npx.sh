# Sourced by `bun run start`. npx runs `bun` through `sh -c`. If that is dash, the SIGTERM of npx ends the shell, which
# does not forward it: the server would continue. So this script watches that shell (its grandparent), and stops the
# server when the shell is gone.
if [ -r "/proc/$PPID/stat" ]; then
  read -r _ _ _ shell _ <"/proc/$PPID/stat"
  case "${npm_config_user_agent-} $(tr '\0' ' ' <"/proc/$shell/cmdline")" in
  npm/*' sh -c '*bun*)
    (
      while [ -d "/proc/$shell" ]; do sleep 0.2; done
      kill -TERM $$
    ) 2>/dev/null &
    ;;
  esac
fi
