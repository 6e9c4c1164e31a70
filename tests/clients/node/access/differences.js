// Where the embedded store answers otherwise about access, and why. Each line fits at least one recorded key.

export const differences = [
  { keys: /^users\./, reason: "there is no Users service: users come from a file, and nobody reads another's details" },
  { keys: /^life\./, reason: "there is no Users service; a changed password or a removed user counts at once" },
  { keys: /^refusal\.basicGarbage$/, reason: "a header that cannot be read is refused as a wrong password, instead of HTTP 500" },
  { keys: /^services\.(anon|badpw|ann|ops|admin)$/, reason: "projections and operations are not there, and statistics are asked elsewhere" },
  { keys: /^matrix\.known\.\$(streams|ce-ord|et-T)$/, reason: "no system projection writes there, and silence would hide that" },
];
