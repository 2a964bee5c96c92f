/** Commands that ask the local API, as they are typed into a shell. */

export interface Example {
  title: string;
  words: string;
  command: string;
}

export interface Asked {
  origin: string;
  /** The token that reads. */
  token: string;
  /** What is asked under /v1. */
  model: string;
}

export function examplesOf({ origin, token, model }: Asked): readonly Example[] {
  const bearer = quoted(`Authorization: Bearer ${token}`);
  const request = {
    model,
    messages: [{ role: "user", content: "Write the date: the third of March 1998" }],
    max_tokens: 64,
    stream: true,
  };
  const continued = { model, prompt: "1998-03-", max_tokens: 8, temperature: 0 };
  const json = `-H ${quoted("Content-Type: application/json")}`;
  return [
    {
      title: "Chat with a student",
      words: "Streams; latest is the newest run, RUN@STEP one of its checkpoints.",
      command: `curl -sN ${origin}/v1/chat/completions -H ${bearer} ${json} -d ${quoted(JSON.stringify(request))}`,
    },
    {
      title: "From Python",
      words: "With the openai package, as any program of yours would.",
      command: [
        "from openai import OpenAI",
        "",
        `client = OpenAI(base_url=${JSON.stringify(`${origin}/v1`)}, api_key=${JSON.stringify(token)})`,
        "answer = client.chat.completions.create(",
        `    model=${JSON.stringify(model)},`,
        `    messages=${JSON.stringify(request.messages)},`,
        "    max_tokens=64,",
        ")",
        "print(answer.choices[0].message.content)",
      ].join("\n"),
    },
    {
      title: "Continue a text",
      words: "As it stands, without a chat template.",
      command: `curl -s ${origin}/v1/completions -H ${bearer} ${json} -d ${quoted(JSON.stringify(continued))}`,
    },
    {
      title: "List what can be asked",
      words: "Students of runs and local models.",
      command: `curl -s ${origin}/v1/models -H ${bearer}`,
    },
    {
      title: "List runs",
      words: "With their state, step and last metrics.",
      command: `curl -s ${quoted(`${origin}/api/runs?limit=5`)} -H ${bearer}`,
    },
  ];
}

/** One word for a POSIX shell, whatever stands in it. */
export function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
