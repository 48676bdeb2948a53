-- For wrk: the events of asterCC's outbound calls, seven a call, each call a session of its own, as asterCC writes them.

local count = 0

local steps = {
  "source=AGENT&event=ringing&uniqueid=1", "source=AGENT&event=answer&uniqueid=1",
  "source=CALLEE&event=ringing&uniqueid=2", "source=CALLEE&event=answer&uniqueid=2",
  "source=CALLEE&event=hangup&uniqueid=2", "source=AGENT&event=hangup&uniqueid=1",
  "source=CONVERSATION&event=hangup&uniqueid=0",
}

function request()
  local call, step = math.floor(count / #steps), count % #steps
  count = count + 1
  local body = string.format("calleridnum=0138888888888&didnumber=&activenum=041139735857&%s&sessionid=%032x"
    .. "&eventTime=2010-01-01 08:22:%02d&AgentTeamId=20&modeltype=Campaign&model_id=10&AgentGroupId=100"
    .. "&calltype=dialout&channel=Local/0138888888888@hosted-dialout-7636;1&from=dialout&", steps[step + 1], call, step)
  return wrk.format("POST", "/astercc", nil, body)
end
