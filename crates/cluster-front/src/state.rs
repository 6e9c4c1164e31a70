//! How the nodes are, and what they know of each other.

/// How a leader falls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fall {
    /// The process dies: its connections are cut.
    Killed,
    /// It goes on listening, and never answers any more.
    Silent,
    /// It lives on as a follower.
    Deposed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    Up,
    Killed,
    Silent,
}

#[derive(Debug)]
pub struct State {
    pub nodes: Vec<Standing>,
    /// The node that leads.
    pub leader: Option<usize>,
    /// The node that the nodes believe to lead.
    pub believed: Option<usize>,
    /// The nodes that are believed to be gone.
    pub believed_gone: Vec<bool>,
    /// Whether the leader has read its groups.
    pub has_groups: bool,
    /// Calls that were refused for want of a leader, or not answered, and connections that a dead node did not take.
    pub refused: u64,
    /// Connections that are open, of all nodes.
    pub connections: usize,
    /// Requests for groups among them that the leader has dropped, because it had not read its groups.
    pub dropped_for_groups: u64,
}

impl State {
    pub fn led_by_the_first(nodes: usize) -> Self {
        Self {
            nodes: vec![Standing::Up; nodes],
            leader: Some(0),
            believed: Some(0),
            believed_gone: vec![false; nodes],
            has_groups: true,
            refused: 0,
            connections: 0,
            dropped_for_groups: 0,
        }
    }

    /// Those that fell before have been started again by then.
    pub fn leader_falls(&mut self, how: Fall) {
        self.nodes.fill(Standing::Up);
        if let Some(leader) = self.leader.take() {
            self.nodes[leader] = match how {
                Fall::Killed => Standing::Killed,
                Fall::Silent => Standing::Silent,
                Fall::Deposed => Standing::Up,
            };
        }
    }

    pub fn nobody_leads(&mut self) {
        self.leader = None;
        self.notice(None);
    }

    /// A node that was down is started for it.
    pub fn elect(&mut self, node: usize, has_groups: bool) {
        self.nodes[node] = Standing::Up;
        self.leader = Some(node);
        self.has_groups = has_groups;
        self.dropped_for_groups = 0;
        self.notice(Some(node));
    }

    fn notice(&mut self, leader: Option<usize>) {
        self.believed = leader;
        self.believed_gone = self.nodes.iter().map(|standing| *standing != Standing::Up).collect();
    }

    /// What a node that does not lead says of the leader: itself it cannot mean.
    pub fn known_leader(&self, node: usize) -> Option<usize> {
        self.believed.filter(|believed| *believed != node)
    }
}
