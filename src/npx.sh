# Sourced by `bun run start`. npx runs `bun` through `sh -c`, and where that is dash it dies of
# the SIGTERM that npx passes on and passes on nothing: the server would live on, unstoppable.
# So that shell, this one's grandparent, is watched, and the server is told when it is gone.
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
